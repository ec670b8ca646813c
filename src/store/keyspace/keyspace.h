/* The body of a lookup, for the typed lookups: most commands begin with one. */
#pragma once

#include "atomdb/store/keyspace.h"
#include "store/keyspace/record.h"

/* Ends a lookup that found nothing, or `due`, a due entry, which it removes. Counts a miss. Returns NULL. */
struct entry *keyspace_find_nothing(struct tenant *t, const struct key *key, enum lookup how, ref due);

/* The same as keyspace_find(). */
static inline __attribute__((always_inline)) struct entry *keyspace_find_inline(struct tenant *t, const struct key *key,
										enum lookup how) {
	const struct shard *s = t->shard;
	const struct database *d = tenant_database(t, key->db_slot);
	ref block = d == NULL ? 0 : table_find(&s->context, &d->table, key->hash, key->name);
	struct entry *e = entry_at(s, block);
	if (block == 0 || __builtin_expect(entry_due(s, e), 0))
		return keyspace_find_nothing(t, key, how, block);
	if (how & LOOKUP_TOUCH) {
		lru_touch(s->arena, &t->record->lru, block);
		entry_set_used(e, s->used_now);
	}
	if (how & LOOKUP_COUNT)
		counter_add(&t->counters.hits, 1);
	return e;
}
