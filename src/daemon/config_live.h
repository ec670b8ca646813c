/* Changes the configuration while AtomDB runs. All texts end in a NUL, which their length does not count. */
#pragma once

#include "atomdb/daemon/config_fields.h"

/* Calls `visit` with "section.key" and the value of every key that can change live. */
void config_show(const struct config *c, void (*visit)(void *context, const char *key, const char *value),
		 void *context);
/* Calls `visit` with "key" and the value of every limit of a tenant. */
void config_show_limits(const struct tenant_limits *l, void (*visit)(void *context, const char *key, const char *value),
			void *context);
/* Finds a key by its name, which may be Redis's name. Returns false if there is none. */
bool config_key(struct slice name, char key[CONFIG_KEY_MAX]);
/* Sets one key, named as in the file or as in Redis. Returns 0, -ENOENT if there is no such key, or an error of
 * config_load. `error` then names no file and no line. */
int config_change(struct config *c, struct slice key, struct slice value, struct config_error *error);
/* Checks the requirements between keys. Returns the same as config_change. */
int config_check(const struct config *c, struct config_error *error);
/* Sets an option of a tenant of `c`. A secret is added to the tenant's secrets. Returns the same as config_change. */
int config_change_tenant(const struct config *c, const char *credentials, struct tenant_config *tenant,
			 struct slice key, struct slice value, struct config_error *error);
/* Copies a configuration and reserves room for `more` tenants. The caller frees the copy. Returns NULL if there is no
 * memory. */
struct config *config_copy(const struct config *c, size_t more);
