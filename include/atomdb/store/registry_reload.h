/* Puts a configuration in force: all of it, or one tenant. */
#pragma once

#include "atomdb/store/registry_loss.h"
#include "atomdb/store/tenant_config.h"
#include "atomdb/util/slice.h"

struct registry;

/* Puts a changed configuration in force: adds, changes, renames and removes listed tenants, leaves the others alone. A
 * tenant is known by its name; if the configuration does not have the name, by its secrets. A tenant with keys that
 * `removed` does not name does not go: ATOMDB_E_LOSS, `*loss` (or NULL) tells the tenants, and nothing changed. The
 * result is the same if a limit that the configuration no longer writes would take keys from a tenant. Keys that are
 * written meanwhile leave an orphan, which a reload does not end either unless `removed` names it. It takes time in
 * proportion to how many there are. 0; ATOMDB_E_RANGE as registry_new, and nothing changed; -ENOMEM, and the rest is
 * not in force yet. */
int registry_reload(struct registry *r, const struct tenants_config *tenants_config, struct registry_loss *loss);

/* Adds or changes one listed tenant, as registry_reload does for all; an orphan of that name, or secret, is it again.
 * ATOMDB_E_RANGE: another listed tenant has one of its secrets. ATOMDB_E_LOSS: tenants that clients opened have.
 * Nothing changed then. */
int registry_put(struct registry *r, const struct tenant_config *c, struct registry_loss *loss);
/* Removes a tenant, named as tenant_name shows it. 0 or -ENOENT. */
int registry_remove(struct registry *r, struct slice name);
