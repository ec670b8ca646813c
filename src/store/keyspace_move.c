/* What changes the key of a value: to move it, to copy it, to exchange whole databases.
 *
 * An entry has its key in its block, so a value gets a new block under the new key, as in every other change. While
 * room is made for that, the entry that it comes from must not be evicted: both entries are made the most recently
 * used, the one that is read before the one that is replaced, and eviction, which goes by age, stops at the first of
 * them. */
#include "atomdb/util/error.h"
#include "store/crash.h"
#include "store/record.h"
#include "store/scope.h"

int keyspace_copy(struct tenant *t, struct entry *e, const struct key *to, struct entry *old) {
	struct shard *s = t->shard;
	ref from = entry_ref(s, e);
	struct slice stored = entry_stored(e);
	struct draft draft;
	lru_touch(s->arena, &t->record->lru, from);
	if (old != NULL)
		lru_touch(s->arena, &t->record->lru, entry_ref(s, old));
	struct database *d = keyspace_database_for_write(t, to->place, from);
	if (d == NULL)
		return ATOMDB_E_OOM;
	int error = keyspace_draft(t, d, to, old, stored.len, entry_flags(e) & (ENTRY_INT | ENTRY_RAW),
				   entry_deadline(e), from, &draft);
	if (error != 0)
		return error;
	memcpy(draft.value, stored.data, stored.len);
	keyspace_seal(&draft);
	keyspace_publish(t, d, to, old, &draft);
	return 0;
}

int keyspace_move(struct tenant *t, const struct key *from, struct entry *e, const struct key *to, struct entry *old) {
	struct database *d = tenant_database(t, from->place);
	bool ttl = entry_has(e, ENTRY_TTL);
	size_t bytes = keyspace_memory(e);
	/* It will be gone when the other is there: the quota has room for one of them only. */
	keyspace_count(t, d, from->place, ttl, bytes, false);
	keyspace_begin(t->shard);
	int error = keyspace_copy(t, e, to, old);
	keyspace_count(t, d, from->place, ttl, bytes, true);
	if (error == 0)
		keyspace_delete(t, from, e);
	keyspace_commit(t->shard);
	return error;
}

static void swap_counters(counter *a, counter *b) {
	uint64_t value = counter_get(a);
	counter_set(a, counter_get(b));
	counter_set(b, value);
}

void keyspace_swap(struct tenant *t, unsigned a, unsigned b) {
	struct tenant_record *record = t->record;
	unsigned differ = record->places[a] ^ record->places[b];
	if (scope_active(t->shard))
		scope_note_order(t->shard, record);
	record->order ^= (uint64_t)differ << 4 * a ^ (uint64_t)differ << 4 * b; /* one store */
	crash_point();
	tenant_read_order(record);
	swap_counters(&t->figures.db_keys[a], &t->figures.db_keys[b]);
	swap_counters(&t->figures.db_expiring[a], &t->figures.db_expiring[b]);
}
