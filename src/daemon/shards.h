/* Adopts the shards of the previous process, or makes new ones, and assigns them to the workers.
 *
 * There is one shard for each worker, or as many as before if that is more: tenants stay in their shards. With fewer
 * workers each owns several shards. With more workers the new ones begin with an empty shard. */
#pragma once

#include <stdbool.h>

struct daemon;

/* Takes over the file `fd` that systemd kept as `name`. Returns false if the name is unknown or already used. Then the
 * caller still owns `fd`. */
bool shards_keep_stored(struct daemon *d, int fd, const char *name);
/* Makes the shards of the workers, from the kept files if there are any. Logs errors of the data. Returns 0 or a
 * negative error. */
int shards_make(struct daemon *d);
/* Gives the shards to systemd, and logs what was recovered. Returns 0 or a negative error. */
int shards_store(struct daemon *d);
/* Logs a warning if the tenants together have more than the memory limit. */
void shards_report_memory(struct daemon *d);
/* Hands the shards over to the next process. Nothing may use them afterwards. */
void shards_save(struct daemon *d);
