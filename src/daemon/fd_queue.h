/* A socket that carries open files: one entry of systemd's store, and in its queue as many files as one likes.
 *
 * systemd compares each file that it is given with all that it has, and has a limit on their number; a queue has
 * neither. What is not taken out is closed with the socket. */
#pragma once

#include <stddef.h>

/* Makes one that carries `count` files, in their order; they stay the caller's. The socket's descriptor, or -errno:
 * -EAGAIN where they do not fit. */
int fd_queue_load(const int *files, size_t count);
/* Takes out the next files, at most as many as one message holds; FD_QUEUE_BATCH is enough room. How many, 0 for the
 * end, or -errno: the rest is lost. */
#define FD_QUEUE_BATCH 253 /* what the kernel takes in one message */
int fd_queue_take(int fd_queue, int files[FD_QUEUE_BATCH]);
