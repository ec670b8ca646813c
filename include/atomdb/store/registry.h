/* The registry: which secret opens which tenant, and in which shard each tenant lives.
 *
 * The only part of the store that threads share: a mutex guards it. AUTH, a reload and the control plane lock it; a
 * command and a visit of all tenants do not. A wrong secret takes as long as a right one. */
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

/* Makes a registry of `shards`, which the caller owns. A tenant with keys that came with a shard and that the
 * configuration does not know becomes an orphan: no secret opens it, it has no limits, and its keys stay until they
 * expire. A tenant that would lose keys because the configuration lost a limit keeps the limit of the process before.
 * Returns 0, -ENOMEM, or ATOMDB_E_RANGE for two tenants of one name or secret. */
int registry_new(struct registry **out, struct shard *const *shards, size_t shard_count,
		 const struct tenants_config *tenants_config, const struct registry_hooks *hooks,
		 const struct log_sink *events);
/* Frees all tenants; the workers have stopped. */
void registry_free(struct registry *r);

/* The result that registry_authenticate would have for a secret and a name. */
enum secret_kind {
	SECRET_KNOWN, /* it opens a tenant that is there */
	SECRET_NEW,   /* it would make one */
	SECRET_WRONG,
};
enum secret_kind registry_kind(struct registry *r, struct slice name, struct slice secret);

/* The tenant that `secret` opens. `name` is that of AUTH with two arguments, "default" for one. In open mode an
 * unknown secret makes a tenant, in the shard with the least load. `*worker` is the worker that owns it: any other must
 * not look into `**out` (which may end at any time) but send the connection there and ask again.
 * 0, ATOMDB_E_WRONGPASS, ATOMDB_E_FULL (max_tenants), or -ENOMEM. */
int registry_authenticate(struct registry *r, struct slice name, struct slice secret, struct tenant **out,
			  unsigned *worker);
/* The tenant of clients that sent no AUTH, as registry_authenticate; ATOMDB_E_WRONGPASS if there is none. */
int registry_anonymous(struct registry *r, struct tenant **out, unsigned *worker);

/* The tenant of a client that comes from the process before, and its identity there. Makes an open tenant again of
 * which nothing is left. 0; ATOMDB_E_WRONGPASS: the configuration has no such tenant any more; as registry_authenticate
 * otherwise. */
int registry_resume(struct registry *r, const struct tenant_identity *identity, struct tenant **out);

size_t registry_count(struct registry *r);
/* The number of tenants that the configuration does not know. */
size_t registry_orphans(struct registry *r);

/* The memory of all shards: bytes of blocks, and of the pages that they are in. */
struct arenas {
	uint64_t used, resident;
	bool compacting;
};
struct arenas registry_arenas(const struct registry *r);
