/* The quota of a tenant. See fair_share.h for the memory that all tenants share.
 *
 * A write that is refused evicts nothing: quota_fits() tells before the first eviction whether it can fit. */
#pragma once

#include "store/keyspace/record.h"

/* Returns whether the tenant is above its quota with `entries` and `bytes` more. Dropped databases count:
 * quota_exceeded() is exact. */
static inline bool quota_over(const struct tenant *t, uint64_t entries, uint64_t bytes) {
	const struct tenant_limits *l = &t->limits;
	return (l->max_entries != 0 && counter_get(&t->counters.keys) + entries > l->max_entries) ||
	       (l->max_memory != 0 && counter_get(&t->counters.bytes) + bytes > l->max_memory);
}
/* Returns whether the tenant is above its quota with `entries` and `bytes` more. Dropped databases count as room,
 * unless an open scope may bring them back. The first bytes that an open scope keeps count as room, too. */
bool quota_exceeded(const struct tenant *t, uint64_t entries, uint64_t bytes);
/* Returns whether `bytes` more fit into the quota and its reserve. The reserve lets the clients of a full tenant free
 * memory: it is for MULTI, WATCH and subscriptions. */
bool quota_in_reserve(const struct tenant *t, uint64_t bytes);
/* Returns whether the bytes that the open transaction keeps, with `kept` more, have to fit into the quota. A
 * transaction may keep a 64th of the quota, 64 KiB to 1 MiB, without evicting or being refused. */
bool quota_has_to_fit(const struct tenant *t, uint64_t kept);
/* Returns whether `entries` and `bytes` more fit into the quota once every entry older than `keep` is evicted (0: every
 * entry). */
bool quota_fits(const struct tenant *t, uint64_t entries, uint64_t bytes, ref keep);
/* Frees about `bytes` bytes of dropped databases, if there are so many, within a bounded time. */
void quota_free_dropped(struct tenant *t, uint64_t bytes);
/* Returns the bytes of the entries that may be evicted: those older than `keep`, without pinned values. */
uint64_t quota_evictable(const struct tenant *t, ref keep);
/* Sets the entries and the bytes by which the quota is exceeded with `entries` and `bytes` more: 0 and 0 if it is not.
 */
void quota_lacking(const struct tenant *t, uint64_t entries, uint64_t bytes, uint64_t *lack_entries,
		   uint64_t *lack_bytes);
/* Evicts entries older than `keep` until `entries` and `bytes` more fit into the quota; quota_fits() was true.
 * `growing`: the database that the entry goes to, whose table may have to grow, or NULL. Returns 0 or ATOMDB_E_OOM. */
int quota_evict(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep);
/* The same for the running command, with check points. */
int quota_evict_long(struct tenant *t, const struct database *growing, uint64_t entries, uint64_t bytes, ref keep);
/* Makes room for `bytes` beside the entries. From a suspended tenant nothing is evicted before it is resumed. 0, or
 * ATOMDB_E_OOM and nothing has been evicted. */
int quota_make_room(struct tenant *t, uint64_t bytes, ref keep);
