/* systemd's file descriptor store: files in it outlive the process, until its unit is stopped. */
#pragma once

#include <stdbool.h>

/* Returns whether systemd keeps files of this process. Asks systemd, and waits for the answer. */
bool fdstore_works(void);
/* Puts a duplicate of `fd` there under that name. Returns 0 or -errno. */
int fdstore_put(const char *name, int fd);
/* Removes all files of that name. */
void fdstore_remove(const char *name);
/* Waits until systemd has handled all earlier messages. Returns 0 or -errno. */
int fdstore_settle(void);
