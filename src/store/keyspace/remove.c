#include "store/keyspace/remove.h"

#include <assert.h>

#include "atomdb/util/fiber.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/account.h"
#include "store/keyspace/age_histogram.h"
#include "store/keyspace/change.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"

void remove_unlinked(struct tenant *t, struct database *d, ref block, bool keep) {
	struct shard *s = t->shard;
	struct entry *e = entry_at(s, block);
	size_t size = entry_size(e);
	lru_remove(s->arena, &t->record->lru, block);
	if (entry_has(e, ENTRY_TTL))
		wheel_remove(s->arena, &s->root->wheel, block);
	account_entry(t, d, entry_database(e), entry_has(e, ENTRY_TTL), arena_block_size(size), false);
	if (undo_active(s)) {
		undo_kill(s, block, size, keep);
		return;
	}
	uint32_t owner = e->owner;
	crash_point();
	e->owner = 0;
	crash_point();
	value_type_free_entry(s, block, owner, size);
}

void remove_entry(struct tenant *t, struct database *d, uint64_t hash, ref block, enum change why) {
	fiber_forbid();
	bool there = table_remove(&t->shard->context, &d->table, hash, block);
	assert(there);
	(void)there;
	const struct entry *e = entry_at(t->shard, block);
	change_tell(t, why, entry_database(e), entry_key(e));
	remove_unlinked(t, d, block, why == CHANGE_REMOVED);
	account_table_step(t, d);
	fiber_allow();
}

/* Returns the milliseconds since the entry was due, or since the clock was set if that was later. */
static uint64_t lateness(const struct shard *s, int64_t deadline) {
	assert(deadline <= s->now_ms);
	return (uint64_t)(s->now_ms - (deadline > s->stepped_ms ? deadline : s->stepped_ms));
}

void remove_due(struct shard *s, ref due, uint64_t hash) {
	struct entry *e = entry_at(s, due);
	struct tenant *t = s->tenants[entry_tenant(e)];
	struct database *d = t == NULL ? NULL : tenant_database(t, entry_database(e));
	if (d == NULL || !table_remove(&s->context, &d->table, hash, due))
		return;
	fiber_forbid();
	counter_add(&s->counters.swept, 1);
	age_histogram_add_expired(&s->counters, lateness(s, entry_deadline(e)));
	counter_add(&t->counters.expirations, 1);
	change_tell(t, CHANGE_EXPIRED, entry_database(e), entry_key(e));
	remove_unlinked(t, d, due, false);
	account_table_step(t, d);
	fiber_allow();
}
