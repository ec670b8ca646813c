/* A socket that carries open files: one entry of systemd's store, with any number of files in its queue.
 *
 * systemd compares each file that it is given with all that it has, and has a limit on their number; a queue has
 * neither. Files that are not taken out are closed with the socket. */
#pragma once

#include <stddef.h>

/* Makes one that carries `count` files, in their order; they stay the caller's. Returns the socket's descriptor, or
 * -errno: -EAGAIN if they do not fit. */
int fd_queue_load(const int *files, size_t count);
/* Takes out the files of the next message, at most FD_QUEUE_BATCH. Returns how many, 0 for the end, or -errno: the rest
 * is lost. */
#define FD_QUEUE_BATCH 253 /* the kernel's limit for one message */
int fd_queue_take(int fd_queue, int files[FD_QUEUE_BATCH]);
