/* The registry: which secret opens which tenant, and in which shard each tenant lives.
 *
 * The only part of the store that threads share: a mutex guards it. It is asked at AUTH, at reload and by the control
 * plane, never per command, nor for a look at all tenants, which takes its time. A wrong secret costs what a right one
 * does. */
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

/* `shards` are not owned. Tenants with keys that came with the shards and that the tenancy does not know become
 * orphans: nobody opens them, they have no limits, and their keys stay until they expire. A tenant that would lose keys
 * because the tenancy lost a limit keeps the one of the process before. 0, -ENOMEM, or ATOMDB_E_RANGE for two tenants
 * of one name or secret. */
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
/* The tenant of clients that sent no AUTH, as registry_authenticate; ATOMDB_E_WRONGPASS where there is none. */
int registry_anonymous(struct registry *r, struct tenant **out, unsigned *worker);

/* The tenant of a client that comes from the process before, and its identity there. Where nothing of an open tenant is
 * left it is made anew. 0; ATOMDB_E_WRONGPASS: the configuration has no such tenant any more; as registry_authenticate
 * otherwise. */
int registry_resume(struct registry *r, const struct tenant_identity *identity, struct tenant **out);

size_t registry_count(struct registry *r);
/* How many of them the tenancy does not know. */
size_t registry_orphans(struct registry *r);

/* The memory of all shards: bytes of blocks, and of the pages that they are in. */
struct arenas {
	uint64_t used, resident;
	bool compacting;
};
struct arenas registry_arenas(const struct registry *r);
