/* The registry: which secret opens which tenant, and in which shard each tenant lives.
 *
 * The only part of the store that threads share: a mutex guards it. It is asked at AUTH, at reload and by the control
 * plane, never per command, nor for a look at all tenants, which takes its time. Secrets are known by their SHA-256
 * digest only (libsodium), compared in constant time, and a wrong one costs what a right one does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/log.h"
#include "atomdb/util/slice.h"

#define SECRET_DIGEST  32
#define TENANT_SECRETS 2

struct secret {
	uint8_t digest[SECRET_DIGEST]; /* SHA-256 */
};

void secret_digest(struct slice text, struct secret *out);
/* In constant time. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* A tenant of the configuration. */
struct tenant_config {
	char name[TENANT_NAME_MAX + 1]; /* letters, digits, '-', '_', '.': 1 to 64 of them */
	struct secret secrets[TENANT_SECRETS];
	unsigned secret_count; /* 0 is allowed for the anonymous tenant only */
	struct tenant_limits limits;
	uint32_t own; /* options that it has of its own, not of the defaults: the configuration's */
};

struct tenants_config {
	bool open;                           /* any secret opens a tenant of its own; else only those of `tenants` */
	uint32_t max_tenants;                /* opened by clients, in open mode; 0: no limit */
	char anonymous[TENANT_NAME_MAX + 1]; /* tenant of clients that sent no AUTH; "": AUTH is required */
	struct tenant_limits defaults;       /* of tenants that clients open */
	struct tenant_limits named;          /* of tenants with a name that say nothing else */
	const struct tenant_config *tenants;
	size_t tenant_count;
	/* Names of tenants that may go with their keys, in the order of strcmp: as tenant_name shows them, or
	 * TENANT_ALL_OPENED. None of `tenants` is among them. */
	const char (*removed)[TENANT_NAME_MAX + 1];
	size_t removed_count;
	const struct secret *admin; /* opens the operator's tenant; NULL: there is none */
};

/* The operator's tenant. No tenant of a configuration can have this name. */
#define TENANT_OPERATOR "@operator"
/* In `removed`: all tenants that clients opened; only where `open` is false. */
#define TENANT_ALL_OPENED "@opened"

/* Tenants that a change would end, with keys, though nobody gave them up, or take keys from by a limit that the
 * configuration does not write. */
#define LOSS_SHOWN 3
struct registry_loss {
	size_t count;
	bool opened;    /* clients opened one of those that would end */
	size_t limited; /* tenants that would not end, but get a smaller limit */
	uint64_t keys, bytes;
	struct {
		char name[TENANT_NAME_MAX + 1];
		uint64_t keys, bytes;
		enum key_limit limit; /* KEY_LIMITS: the tenant would end */
		uint64_t becomes;     /* that limit */
	} shown[LOSS_SHOWN];          /* the first of them */
};

/* Describes the tenants, up to the size of `out`: "shop (509 keys, 40000 bytes: max_entries 30)". */
void registry_describe_loss(const struct registry_loss *loss, char *out, size_t size);

/* That no two tenants have one name or secret, the operator among them: 0, ATOMDB_E_RANGE or -ENOMEM. */
int tenant_config_check(const struct tenants_config *y);

struct registry;

/* What the registry asks of the workers; called with its mutex held, so it must only post a message. */
struct registry_hooks {
	/* A tenant of the configuration: the worker calls tenant_set_limits. */
	void (*limits_changed)(void *context, struct tenant *t, const struct tenant_limits *limits);
	/* All tenants that clients opened: every worker calls shard_set_defaults. */
	void (*defaults_changed)(void *context, const struct tenant_limits *limits);
	/* The worker closes the tenant's clients, then calls registry_remove_done. */
	void (*removed)(void *context, struct tenant *t);
	/* Memory is short: the workers look for tenants that have to give way. From any worker's thread, without the
	 * mutex. */
	void (*memory_short)(void *context);
	/* The worker closes the tenant's clients if it is an orphan still, then calls registry_orphan_told. */
	void (*orphaned)(void *context, struct tenant *t);
	void *context;
};

/* `shards` are not owned. Tenants with keys that came with the shards and that the tenancy does not know become
 * orphans: nobody opens them, they have no limits, and their keys stay until they expire. A tenant that would lose keys
 * because the tenancy lost a limit keeps the one of the process before. 0, -ENOMEM, or ATOMDB_E_RANGE for two tenants
 * of one name or secret. */
int registry_new(struct registry **out, struct shard *const *shards, size_t shard_count,
		 const struct tenants_config *tenants_config, const struct registry_hooks *hooks,
		 const struct log_sink *events);
/* Frees all tenants; the workers have stopped. */
void registry_free(struct registry *r);

/* Puts a changed tenancy in force: adds, changes, renames and removes listed tenants, leaves the others alone. A
 * tenant is known by its name; one whose name the tenancy does not have, by its secrets. A tenant with keys that
 * `removed` does not name does not go: ATOMDB_E_LOSS, `*loss` (or NULL) tells what would, and nothing changed. So it
 * is if a limit that the tenancy no longer writes would take keys from a tenant. Keys that are written meanwhile leave
 * an orphan, which a reload does not end either unless `removed` names it. It takes time in proportion to how many
 * there are. 0; ATOMDB_E_RANGE as registry_new, and nothing changed; -ENOMEM, and the rest is not in force yet. */
int registry_reload(struct registry *r, const struct tenants_config *tenants_config, struct registry_loss *loss);

/* Adds or changes one listed tenant, as registry_reload does for all; an orphan of that name, or secret, is it again.
 * ATOMDB_E_RANGE: another listed tenant has one of its secrets. ATOMDB_E_LOSS: tenants that clients opened have.
 * Nothing changed then. */
int registry_put(struct registry *r, const struct tenant_config *c, struct registry_loss *loss);
/* Removes a tenant, named as tenant_name shows it. 0 or -ENOENT. */
int registry_remove(struct registry *r, struct slice name);

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

/* Called by the tenant's worker when its last client left: a tenant that a client opened and that holds no key is
 * closed and freed. */
void registry_release(struct registry *r, struct tenant *t);
/* The same for all such tenants of `worker`, by its thread: a client that was sent there went before it could use the
 * tenant that was made for it. */
void registry_tidy(struct registry *r, unsigned worker);
/* Called by the tenant's worker once after each `orphaned`, when it has closed the clients: ends the tenant if it is an
 * orphan without keys. */
void registry_orphan_told(struct registry *r, struct tenant *t);
/* Called by the tenant's worker after `removed`, when no client uses it any more: closes and frees it. */
void registry_remove_done(struct registry *r, struct tenant *t);

/* Ends those tenants of `worker`, by its thread, that could not end while somebody looked at them, and orphans that
 * have no keys any more. To be called now and then; mostly it costs two loads. */
void registry_take_up(struct registry *r, unsigned worker);

/* From here on no tenant ends with its last client: the next process is to find them all. */
void registry_hold(struct registry *r);

/* Visits every tenant, the oldest first, for the control plane; only identity and counters may be read. A worker never
 * waits for it: what would end meanwhile ends when its worker calls registry_take_up. */
void registry_each(struct registry *r, void (*visit)(void *context, const struct tenant *t), void *context);
/* Visits every tenant of a worker, for its thread. The mutex is held meanwhile: be quick. */
void registry_each_of(struct registry *r, unsigned worker, void (*visit)(void *context, struct tenant *t),
		      void *context);
size_t registry_count(struct registry *r);
/* How many of them the tenancy does not know. */
size_t registry_orphans(struct registry *r);

/* The memory of all shards: bytes of blocks, and of the pages that they are in. */
struct arenas {
	uint64_t used, resident;
	bool compacting;
};
struct arenas registry_arenas(const struct registry *r);
