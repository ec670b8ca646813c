/* The tenants of the registry, by name and by secret. Callers hold the mutex. */
#pragma once

#include "store/tenant/registry_private.h"

struct registered *registry_find_secret(struct registry *r, const struct secret *secret);
struct registered *registry_find_listed(struct registry *r, const char *name);
void registry_forget_secrets(struct registry *r, struct registered *g);
void registry_learn_secrets(struct registry *r, struct registered *g, const struct secret *secrets, unsigned count);
/* Gives a tenant without secrets the one of its identity, if no other tenant has it: it opens the tenant, or keeps
 * others from it if the tenant is an orphan. Returns whether it did. */
bool registry_learn_own(struct registry *r, struct registered *g);
/* The list of the tenants whose names have the hash of `name`. */
struct registered **registry_named(struct registry *r, const char *name);
/* Gives a tenant a name, or another one, and a digest. 0 or -ENOMEM. */
int registry_know_as(struct registry *r, struct registered *g, const char *name, const struct secret *digest);
/* A new tenant in that shard, not shown yet; NULL for want of memory. */
struct registered *registry_place(struct registry *r, unsigned shard, const struct tenant_limits *limits);
/* The same in the shard with the least load. */
struct registered *registry_add(struct registry *r, const struct tenant_limits *limits);
/* Takes back registry_add. */
void registry_discard(struct registry *r, struct registered *g);
/* Adds a complete tenant to the list that registry_each visits. */
void registry_show(struct registry *r, struct registered *g);

/* Takes the tenant out of the hash table of names. */
void registry_forget_name(struct registry *r, const struct registered *g);
/* Takes a tenant out of the tables of names and secrets. Its worker may still use it. */
void registry_unlist(struct registry *r, struct registered *g);
/* Frees the struct. */
void registry_free_tenant(struct registered *g);
/* Closes and frees a tenant that registry_unlist took out. */
void registry_close(struct registry *r, struct registered *g);
