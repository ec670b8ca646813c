/* The tenants of a configuration, and their check. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/secret.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/tenant_limits.h"

#define TENANT_SECRETS 2

/* A tenant of the configuration. */
struct tenant_config {
	char name[TENANT_NAME_MAX + 1]; /* letters, digits, '-', '_', '.': 1 to 64 of them */
	struct secret secrets[TENANT_SECRETS];
	unsigned secret_count; /* 0 only for the anonymous tenant */
	struct tenant_limits limits;
	uint32_t own; /* set of the options that the configuration writes for this tenant, for the configuration only */
};

struct tenants_config {
	bool open;                           /* any secret opens a tenant; else only the secrets of `tenants` do */
	uint32_t max_tenants;                /* the most tenants that clients open, if `open`; 0: no limit */
	char anonymous[TENANT_NAME_MAX + 1]; /* the tenant of clients without AUTH; "": AUTH is required */
	struct tenant_limits defaults;       /* of tenants that clients open */
	struct tenant_limits named;          /* of tenants with a name, if they set no other limits */
	const struct tenant_config *tenants;
	size_t tenant_count;
	/* Names of tenants that may lose their keys, sorted by strcmp(3): as tenant_name() returns them, or
	 * TENANT_ALL_OPENED. No name of `tenants` is among them. */
	const char (*removed)[TENANT_NAME_MAX + 1];
	size_t removed_count;
	const struct secret *admin; /* opens the operator's tenant; NULL: there is no such tenant */
};

/* The operator's tenant. No tenant of a configuration can have this name. */
#define TENANT_OPERATOR "@operator"
/* In `removed`: all tenants that clients opened; only if `open` is false. */
#define TENANT_ALL_OPENED "@opened"

/* Checks that no two tenants, the operator included, have one name or secret. Returns 0, ATOMDB_E_RANGE or -ENOMEM. */
int tenant_config_check(const struct tenants_config *config);
