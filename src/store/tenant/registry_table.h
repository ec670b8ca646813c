/* The tenants of the registry, by name and by secret. Callers hold the mutex. */
#pragma once

#include "store/tenant/registry_private.h"

struct registered *registry_find_secret(struct registry *r, const struct secret *secret);
struct registered *registry_find_listed(struct registry *r, const char *name);
void registry_forget_secrets(struct registry *r, struct registered *g);
void registry_learn_secrets(struct registry *r, struct registered *g, const struct secret *secrets, unsigned count);
/* Lets the secret of the tenant's identity open it, or keep others out where it is an orphan, if nothing else has it
 * and it has none; whether it does. */
bool registry_learn_own(struct registry *r, struct registered *g);
/* Where the tenants whose names have this one's hash begin. */
struct registered **registry_named(struct registry *r, const char *name);
/* Gives a tenant a name, or another one, and a digest. 0 or -ENOMEM. */
int registry_know_as(struct registry *r, struct registered *g, const char *name, const struct secret *digest);
/* A new tenant in that shard, not shown yet; NULL for want of memory. */
struct registered *registry_place(struct registry *r, unsigned shard, const struct tenant_limits *limits);
/* The same in the shard with the least load. */
struct registered *registry_add(struct registry *r, const struct tenant_limits *limits);
/* Takes back registry_add. */
void registry_discard(struct registry *r, struct registered *g);
/* Lets those who look at all tenants find it: it is complete. */
void registry_show(struct registry *r, struct registered *g);

/* Takes the tenant out of the hash table of names. */
void registry_forget_name(struct registry *r, const struct registered *g);
/* Takes a tenant out of all that finds it by secret or name; its worker may still use it. */
void registry_unlist(struct registry *r, struct registered *g);
/* Frees the struct. */
void registry_free_tenant(struct registered *g);
/* Closes and frees what was unlisted. */
void registry_close(struct registry *r, struct registered *g);
