/* systemd's file descriptor store: files in it outlive the process, until its unit stops. */
#pragma once

#include <stdbool.h>

/* Returns whether systemd keeps files of this process. Asks systemd and waits for the answer. */
bool fdstore_works(void);
/* Stores a duplicate of `fd` under that name. Returns 0 or -errno. */
int fdstore_put(const char *name, int fd);
/* Removes all files with that name. */
void fdstore_remove(const char *name);
/* Waits until systemd has processed all earlier messages. Returns 0 or -errno. */
int fdstore_settle(void);
