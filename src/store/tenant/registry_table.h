/* The tenants of the registry, by name and by secret. Callers hold the mutex. */
#pragma once

#include "store/tenant/registry_private.h"

/* Returns the tenant that a secret opens, or NULL. */
struct registered *registry_find_secret(struct registry *r, const struct secret *secret);
/* Returns the tenant with that name, or NULL. Does not find tenants that clients opened. */
struct registered *registry_find_listed(struct registry *r, const char *name);
/* Removes all secrets of a tenant. */
void registry_remove_secrets(struct registry *r, struct registered *g);
/* Adds `count` secrets, up to TENANT_SECRETS, to a tenant that has none. */
void registry_add_secrets(struct registry *r, struct registered *g, const struct secret *secrets, unsigned count);
/* Adds the secret of its identity to a tenant without secrets, if no other tenant has that secret. For an orphan this
 * only keeps the secret from opening another tenant. Returns whether it added the secret. */
bool registry_add_own_secret(struct registry *r, struct registered *g);
/* Returns the list of the tenants whose names have the hash of `name`. */
struct registered **registry_named(struct registry *r, const char *name);
/* Sets the name ("" for none) and the digest of a tenant. Returns 0 or -ENOMEM. */
int registry_set_identity(struct registry *r, struct registered *g, const char *name, const struct secret *digest);
/* Adds a new tenant to that shard, without an identity. Returns NULL if there is no memory. */
struct registered *registry_place(struct registry *r, unsigned shard, const struct tenant_limits *limits);
/* Adds a new tenant like registry_place(), to the shard with the least load. */
struct registered *registry_add(struct registry *r, const struct tenant_limits *limits);
/* Undoes registry_place() or registry_add(). */
void registry_discard(struct registry *r, struct registered *g);
/* Adds a complete tenant to the list that registry_each visits. */
void registry_show(struct registry *r, struct registered *g);

/* Removes a tenant from the hash table of names. */
void registry_remove_name(struct registry *r, const struct registered *g);
/* Removes a tenant from the tables of names and secrets. Its worker may still use it. */
void registry_unlist(struct registry *r, struct registered *g);
/* Frees the struct. */
void registry_free_tenant(struct registered *g);
/* Closes and frees a tenant after registry_unlist(). No thread visits the tenants. */
void registry_close(struct registry *r, struct registered *g);
