/* Reads the configuration again, and applies a changed configuration. */
#pragma once

struct config;
struct config_error;
struct daemon;
struct registry_hooks;

/* Reads the configuration file again. Logs an error; a bad file changes nothing. */
void reload_configuration(struct daemon *d);
/* Replaces the configuration by `wanted`, which the registry already has, and passes it to the workers and HTTP. Takes
 * over `wanted`. */
void reload_put_in_force(struct daemon *d, struct config *wanted);
/* Applies the tenants of `wanted`. Returns 0, ATOMDB_E_LOSS if a tenant would lose its keys, or an error of
 * registry_reload(). On failure nothing changes, and `error` has the reason. */
int reload_change_tenants(struct daemon *d, const struct config *wanted, struct config_error *error);
/* Sets the secret and the hosts of HTTP from `config`. */
void reload_set_http_auth(struct daemon *d, const struct config *config);
/* Checks the open sockets against `wanted`. Returns 0, or ATOMDB_E_SYNTAX and `error`. */
int reload_check_sockets(struct daemon *d, const struct config *wanted, struct config_error *error);

/* The registry's callbacks. The caller sets the context. */
extern const struct registry_hooks reload_registry_hooks;
