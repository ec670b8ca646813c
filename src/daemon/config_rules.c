#include "daemon/config_rules.h"

#include <string.h>

#include "atomdb/daemon/config_fields.h"
#include "daemon/config_reader.h"
#include "daemon/config_tenant.h"

int config_check_together(struct config_reader *r) {
	const struct config *c = r->config;
	for (unsigned i = 0; i < c->resp_listen.count; i++) {
		const char *address = c->resp_listen.text[i];
		if (!config_allows_address(c, address))
			return config_reader_fail(
				r, r->addresses != NULL ? config_setting_source_line(r->addresses) : 0,
				"with tenancy \"open\" every client that reaches %s can open a tenant: set tenancy to "
				"\"listed\", or resp.open_to_network to true if this is intended",
				address);
	}
	const char *anonymous = c->tenants_config.anonymous;
	bool found = *anonymous == '\0' || c->tenants_config.open;
	for (size_t i = 0; i < c->tenants_config.tenant_count && !found; i++)
		found = strcmp(c->tenants_config.tenants[i].name, anonymous) == 0;
	if (!found)
		return config_reader_fail(r, r->anonymous != NULL ? config_setting_source_line(r->anonymous) : 0,
					  "anonymous names '%s', which is not among the tenants", anonymous);
	return config_check_removed(r);
}

bool config_allows_address(const struct config *c, const char *address) {
	return !c->tenants_config.open || c->open_to_network || listener_is_local(address);
}
