/* systemd's file descriptor store: what is put there outlives the process, until its unit is stopped. */
#pragma once

#include <stdbool.h>

/* Whether there is such a store for this process; asks systemd, and waits for the answer. */
bool fdstore_works(void);
/* Gives it a duplicate of `fd` under that name. 0 or -errno. */
int fdstore_put(const char *name, int fd);
/* Takes everything of that name out of it. */
void fdstore_remove(const char *name);
/* Waits until systemd has done all that it was told. 0 or -errno. */
int fdstore_settle(void);
