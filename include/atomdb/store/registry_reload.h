/* Applies a configuration: all of it, or one tenant. */
#pragma once

#include "atomdb/store/registry_loss.h"
#include "atomdb/store/tenant_config.h"
#include "atomdb/util/slice.h"

struct registry;

/* Applies a changed configuration: adds, changes, renames and removes listed tenants, and leaves the others unchanged.
 * A tenant is known by its name. If the configuration does not have the name, the tenant is known by its secrets.
 *
 * If a tenant with keys would go that `removed` does not name, or would lose keys by a limit that the configuration no
 * longer writes, the call returns ATOMDB_E_LOSS, sets `*loss` (which may be NULL) and changes nothing. A tenant that
 * gets keys during the call becomes an orphan. A reload ends an orphan with keys only if `removed` names it.
 *
 * The time grows with the number of tenants. Returns 0, ATOMDB_E_LOSS, ATOMDB_E_RANGE if two tenants have one name or
 * secret (nothing has changed), or -ENOMEM (a part has not changed yet). */
int registry_reload(struct registry *r, const struct tenants_config *tenants_config, struct registry_loss *loss);

/* Adds or changes one listed tenant. An orphan with its name or secret becomes that tenant. Returns 0, or -ENOMEM.
 * Returns ATOMDB_E_RANGE if another listed tenant has one of its secrets, and ATOMDB_E_LOSS, with `*loss` (which may be
 * NULL), if a tenant with keys that clients opened has one; then nothing has changed. */
int registry_put(struct registry *r, const struct tenant_config *c, struct registry_loss *loss);
/* Removes a tenant and its keys. `name` is its name as tenant_name() returns it. Returns 0 or -ENOENT. */
int registry_remove(struct registry *r, struct slice name);
