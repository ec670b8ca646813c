/* Takes the shards over from the process before, or makes new ones, and gives them to the workers.
 *
 * There are as many shards as workers, or as before if those were more: tenants stay in their shards. With fewer
 * workers each owns several shards. With more workers the new ones begin with an empty shard. */
#pragma once

#include <stdbool.h>

struct daemon;

/* Takes over the file `fd` that systemd kept as `name`. Returns false, and `fd` stays the caller's, if the name is
 * unknown or already taken. */
bool shards_keep_stored(struct daemon *d, int fd, const char *name);
/* Makes the shards of the workers, from the kept files if there are any. Logs the errors of their data. Returns 0 or a
 * negative error. */
int shards_make(struct daemon *d);
/* Passes the shards to systemd, and logs what was recovered. Returns 0 or a negative error. */
int shards_store(struct daemon *d);
/* Logs a warning if the tenants together have more than the memory limit. */
void shards_report_memory(struct daemon *d);
/* Leaves the shards to the next process. Nothing may use them any more. */
void shards_save(struct daemon *d);
