/* Keys that a change of the configuration would take. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"

/* Tenants with keys that a change would end although the configuration does not list them in `removed`, and tenants
 * that it would take keys from by a limit that the configuration does not write. */
#define LOSS_SHOWN 3
struct registry_loss {
	size_t count;
	bool opened;    /* clients opened one of the tenants that would end */
	size_t limited; /* tenants that would not end, but get a smaller limit */
	uint64_t keys, bytes;
	struct {
		char name[TENANT_NAME_MAX + 1];
		uint64_t keys, bytes;
		enum key_limit limit; /* KEY_LIMITS: the tenant would end */
		uint64_t becomes;     /* that limit */
	} shown[LOSS_SHOWN];          /* the first of them */
};

/* Describes the tenants, up to the size of `out`: "shop (509 keys, 40000 bytes: max_entries 30)". */
void registry_describe_loss(const struct registry_loss *loss, char *out, size_t size);

/* Counts a tenant that would lose keys by that limit, or would end: KEY_LIMITS. */
void registry_count_loss(struct registry_loss *loss, const struct tenant *t, enum key_limit limit, uint64_t becomes);
