/* Changes of the configuration while AtomDB runs. Texts end in a NUL beyond their length. */
#pragma once

#include "atomdb/daemon/config_fields.h"

/* Calls `visit` with "section.key" and the value of every key that can be changed live. */
void config_show(const struct config *c, void (*visit)(void *context, const char *key, const char *value),
		 void *context);
/* The same for the limits of a tenant, with "key". */
void config_show_limits(const struct tenant_limits *l, void (*visit)(void *context, const char *key, const char *value),
			void *context);
/* Finds the key that `name` stands for, which may be Redis's. Returns false if there is none. */
bool config_key(struct slice name, char key[CONFIG_KEY_MAX]);
/* Sets one key, by its name in the file or Redis's. Returns 0, -ENOENT if there is no such key, or an error of
 * config_load, with an `error` that names no file and line. */
int config_change(struct config *c, struct slice key, struct slice value, struct config_error *error);
/* Checks that the keys go together. Returns as config_change. */
int config_check(const struct config *c, struct config_error *error);
/* Sets an option of a tenant of `c`. A secret is added to those that it has. Returns as config_change. */
int config_change_tenant(const struct config *c, const char *credentials, struct tenant_config *tenant,
			 struct slice key, struct slice value, struct config_error *error);
/* Copies a configuration, with room for `more` tenants. The caller frees it. Returns NULL without memory. */
struct config *config_copy(const struct config *c, size_t more);
