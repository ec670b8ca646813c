#include "store/keyspace/evict.h"

#include "atomdb/util/fiber.h"
#include "store/keyspace/account.h"
#include "store/keyspace/age_histogram.h"
#include "store/keyspace/change.h"
#include "store/keyspace/remove.h"

bool evict_oldest(struct tenant *t, ref keep) {
	struct shard *s = t->shard;
	for (;;) {
		ref oldest = t->record->lru.oldest;
		if (oldest == 0 || oldest == keep)
			return false;
		struct entry *e = entry_at(s, oldest);
		struct slice name = entry_key(e);
		struct database *d = tenant_database(t, entry_database(e));
		uint64_t hash = hash_bytes(&s->context.seed, name.data, name.len);
		if (d != NULL && table_remove(&s->context, &d->table, hash, oldest)) {
			bool due = entry_due(s, e);
			fiber_forbid();
			if (!due)
				age_histogram_add_evicted(&s->counters, s->used_now, e);
			counter_add(due ? &t->counters.expirations : &t->counters.evictions, 1);
			change_tell(t, due ? CHANGE_EXPIRED : CHANGE_EVICTED, entry_database(e), name);
			remove_unlinked(t, d, oldest, false);
			account_table_step(t, d);
			fiber_allow();
			return true;
		}
		/* The entry belongs to a dropped database. */
		lru_remove(s->arena, &t->record->lru, oldest);
	}
}
