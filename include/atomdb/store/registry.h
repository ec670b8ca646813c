/* The registry: finds the tenant that a secret opens, and the shard of each tenant.
 *
 * Threads share no other part of the store. A mutex guards it. AUTH, a reload and the control plane lock the mutex;
 * commands and visits of all tenants do not. A wrong secret takes as long as a right one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/registry_hooks.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/tenant_config.h"
#include "atomdb/util/log.h"
#include "atomdb/util/slice.h"

struct registry;

/* Creates a registry of the tenants in `shards` and in the configuration. The caller owns the shards and the array,
 * which must outlive the registry, and frees `*out` with registry_free(). `hooks` may be NULL. A tenant with keys in an
 * adopted shard that the configuration does not know becomes an orphan: no secret opens it, it has no limits, and its
 * keys stay until they expire. If the configuration has lost a limit and the tenant would lose keys by that, the tenant
 * keeps the limit of the process before. Returns 0, -ENOMEM, or ATOMDB_E_RANGE if two tenants have one name or secret.
 */
int registry_new(struct registry **out, struct shard *const *shards, size_t shard_count,
		 const struct tenants_config *tenants_config, const struct registry_hooks *hooks,
		 const struct log_sink *events);
/* Frees the registry and all tenants, after the workers have stopped. `r` may be NULL. */
void registry_free(struct registry *r);

/* The result that registry_authenticate() would have. */
enum secret_kind {
	SECRET_KNOWN, /* the secret opens a tenant */
	SECRET_NEW,   /* the secret would make a tenant */
	SECRET_WRONG,
};
/* Returns the result that registry_authenticate() would have, and changes nothing. */
enum secret_kind registry_kind(struct registry *r, struct slice name, struct slice secret);

/* Finds the tenant that `secret` opens. `name` is the name in AUTH, or "default" if AUTH has one argument. In open mode
 * an unknown secret makes a tenant, in the shard with the least load. `*worker` is the worker that owns the tenant.
 * Another worker must not read `**out`, which may end at any time; it sends the connection to `*worker`, which calls
 * the function again. Returns 0, ATOMDB_E_WRONGPASS, ATOMDB_E_FULL (max_tenants) or -ENOMEM. */
int registry_authenticate(struct registry *r, struct slice name, struct slice secret, struct tenant **out,
			  unsigned *worker);
/* Finds the tenant of clients without AUTH; otherwise like registry_authenticate(). Returns 0, or ATOMDB_E_WRONGPASS if
 * there is no such tenant. */
int registry_anonymous(struct registry *r, struct tenant **out, unsigned *worker);

/* Finds the tenant of a client that the process before handed over. `identity` is its identity there. Makes the tenant
 * again if clients open tenants and it is gone. Returns 0, ATOMDB_E_WRONGPASS if the configuration has no such tenant
 * any more, or an error of registry_authenticate(). */
int registry_resume(struct registry *r, const struct tenant_identity *identity, struct tenant **out);

/* Returns the limits of a tenant: in force, or sent to its worker. An orphan has none. Only for the thread that calls
 * registry_reload() and registry_put(). */
struct tenant_limits registry_limits(const struct tenant *t);

/* Returns the number of tenants. */
size_t registry_count(struct registry *r);
/* Returns the number of orphans: tenants with keys that the configuration does not know. */
size_t registry_orphans(struct registry *r);

/* The memory of all shards together. */
struct arenas {
	uint64_t used;     /* bytes of blocks */
	uint64_t resident; /* bytes of the pages that hold them */
	bool compacting;   /* a compaction is under way */
};

struct arenas registry_arenas(const struct registry *r);
