/* The tenants of a configuration. */
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
/* In `removed`: all tenants that clients opened; only if `open` is false. */
#define TENANT_ALL_OPENED "@opened"

/* Checks that no two tenants, the operator included, have one name or secret. Returns 0, ATOMDB_E_RANGE or -ENOMEM. */
int tenant_config_check(const struct tenants_config *y);
