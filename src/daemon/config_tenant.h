/* The list of tenants, and the list of tenants that may be removed. */
#pragma once

#include <libconfig.h>
#include <stdbool.h>

struct config;
struct config_reader;
struct tenant_config;

/* Reads one key of a tenant. Returns 0, ATOMDB_E_SYNTAX or -ENOMEM, like the functions below. */
int config_read_tenant_key(struct config_reader *r, const config_setting_t *setting, struct tenant_config *tenant);
/* Reads the list of tenants into r->config. Call it after all other keys are read. */
int config_read_tenants(struct config_reader *r, const config_setting_t *tenants);
/* Reads the list of tenants that may be removed with their keys. */
int config_read_removed(struct config_reader *r, const config_setting_t *removed);
/* Checks the list of tenants that may be removed against the rest of the configuration. */
int config_check_removed(struct config_reader *r);
/* Returns whether `removed` lists a name. */
bool config_removes(const struct config *c, const char *name);
