/* A socket with a queue of open files. It takes one entry of systemd's file descriptor store for any number of files.
 *
 * systemd limits the number of files in its store, and compares each new file with all of them. A queue has no such
 * limit or cost. Closing the socket closes the files that are still queued. */
#pragma once

#include <stddef.h>

/* Makes a queue of `count` files, in their order. The caller keeps its own descriptors. Returns the socket's
 * descriptor, or -errno: -EAGAIN if the files do not fit. */
int fd_queue_load(const int *files, size_t count);
/* Receives the files of the next message, at most FD_QUEUE_BATCH. Returns their number, 0 at the end, or -errno: then
 * the remaining files are lost. */
#define FD_QUEUE_BATCH 253 /* the kernel's limit for one message */
int fd_queue_take(int fd_queue, int files[FD_QUEUE_BATCH]);
