/* Room in a tenant's quota for what it is about to take. See fair_share.h for the memory that all tenants share.
 *
 * A write that is refused evicts nothing: whether it can fit at all is known before the first eviction. */
#pragma once

#include "store/keyspace/record.h"

/* Whether the tenant is above its quota with `entries` and `bytes` more. Dropped databases count: quota_exceeded()
 * looks closer. */
static inline bool quota_over(const struct tenant *t, uint64_t entries, uint64_t bytes) {
	const struct tenant_limits *l = &t->limits;
	return (l->max_entries != 0 && counter_get(&t->counters.keys) + entries > l->max_entries) ||
	       (l->max_memory != 0 && counter_get(&t->counters.bytes) + bytes > l->max_memory);
}
/* Whether the tenant is above its quota with `entries` and `bytes` more. Dropped databases count as room, unless an
 * open scope may bring them back, and so does the first part of what an open scope keeps. */
bool quota_exceeded(const struct tenant *t, uint64_t entries, uint64_t bytes);
/* Whether `bytes` more fit into a little beyond the quota, which is for what the clients of a full tenant need to free
 * memory: MULTI, WATCH, subscriptions. */
bool quota_in_reserve(const struct tenant *t, uint64_t bytes);
/* Whether the open transaction keeps so much with `kept` bytes more that they have to fit into the quota. A short one
 * gives them back soon: it keeps a 64th of the quota, 64 KiB to 1 MiB, without evicting or being refused. */
bool quota_has_to_fit(const struct tenant *t, uint64_t kept);
/* Whether `entries` and `bytes` more fit into the quota once everything is evicted that may be: every entry except
 * `keep` and those used after it (0: every entry). */
bool quota_fits(const struct tenant *t, uint64_t entries, uint64_t bytes, ref keep);
/* Frees about `bytes` of what was dropped, as far as there is so much, within a bounded time. */
void quota_free_dropped(struct tenant *t, uint64_t bytes);
/* Bytes of the entries that may be evicted: those older than `keep`, without values that are being sent. */
uint64_t quota_evictable(const struct tenant *t, ref keep);
/* Sets the entries and the bytes by which the quota is exceeded with `entries` and `bytes` more: 0 and 0 if it is not.
 */
void quota_lacking(const struct tenant *t, uint64_t entries, uint64_t bytes, uint64_t *lack_entries,
		   uint64_t *lack_bytes);
/* Evicts entries older than `keep` until `entries` and `bytes` more fit into the quota; quota_fits() was true.
 * `growing`: the database that the entry goes to, whose table may have to grow, or NULL. 0 or ATOMDB_E_OOM. */
int quota_evict(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep);
/* The same for the running command, with check points. */
int quota_evict_long(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep);
/* Makes room for `bytes` beside the entries. From a suspended tenant nothing is evicted before it is resumed. 0, or
 * ATOMDB_E_OOM and nothing has been evicted. */
int quota_make_room(struct tenant *t, uint64_t bytes, ref keep);
