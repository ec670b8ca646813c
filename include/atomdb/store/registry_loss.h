/* The loss of keys that a change of the configuration would cause. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"

/* The number of tenants that struct registry_loss names. */
#define LOSS_SHOWN 3

/* The tenants with keys that a change would end although `removed` does not name them, and the tenants that would lose
 * keys by a limit that the configuration does not write. */
struct registry_loss {
	size_t count;   /* of these tenants */
	bool opened;    /* clients opened one of those that would end */
	size_t limited; /* number of those that would not end, but get a lower limit */
	uint64_t keys, bytes;
	struct {
		char name[TENANT_NAME_MAX + 1];
		uint64_t keys, bytes;
		enum key_limit limit; /* KEY_LIMITS: the tenant would end */
		uint64_t becomes;     /* the new value of the limit */
	} shown[LOSS_SHOWN];          /* the first of these tenants */
};

/* Writes a description of the tenants to `out`, of at most `size` bytes: "shop (509 keys, 40000 bytes: max_entries
 * 30)". */
void registry_describe_loss(const struct registry_loss *loss, char *out, size_t size);

/* Counts a tenant that would lose keys because `limit` gets the value `becomes`. If `limit` is KEY_LIMITS, the tenant
 * would end. */
void registry_count_loss(struct registry_loss *loss, const struct tenant *t, enum key_limit limit, uint64_t becomes);
