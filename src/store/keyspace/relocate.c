/* Moves and copies of values, and the exchange of whole databases.
 *
 * An entry has its key in its block, so a value gets a new block under its new key. Making room for that block must not
 * evict the source. A copy therefore makes both entries the most recently used, first the source, then the entry that
 * it replaces. Eviction goes by age and stops at the source. */
#include "atomdb/store/relocate.h"

#include "atomdb/store/keyspace.h"
#include "atomdb/util/error.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/account.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/record.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"

/* Publishes an entry with the stored bytes of `e` under another key. Does not evict `e` as long as `keep` is in the
 * list. `own`: the hook of the type that makes it a value of its own, or NULL if the value moves. */
static int put(struct tenant *t, const struct entry *e, const struct key *to, struct entry *old, ref keep,
	       int (*own)(struct tenant *t, const struct entry *e, char *stored)) {
	struct slice stored = entry_stored(e);
	struct database *d = draft_database(t, to, stored.len, keep);
	struct draft draft;
	if (d == NULL)
		return ATOMDB_E_OOM;
	int error = draft_make(t, d, to, old, stored.len, entry_flags(e) & ENTRY_FORM, entry_deadline(e), keep, &draft);
	if (error != 0)
		return error;
	memcpy(draft.value, stored.data, stored.len);
	error = own == NULL ? 0 : own(t, e, draft.value);
	if (error != 0) {
		draft_discard(t->shard, &draft);
		return error;
	}
	draft_seal(&draft);
	draft_publish(t, d, to, old, &draft);
	return 0;
}

/* Calls put() with both entries in the LRU list. */
static int put_beside(struct tenant *t, const struct entry *e, const struct key *to, struct entry *old,
		      int (*own)(struct tenant *t, const struct entry *e, char *stored)) {
	struct shard *s = t->shard;
	ref from = entry_ref(s, e);
	lru_touch(s->arena, &t->record->lru, from);
	if (old != NULL)
		lru_touch(s->arena, &t->record->lru, entry_ref(s, old));
	return put(t, e, to, old, from, own);
}

int keyspace_copy(struct tenant *t, struct entry *e, const struct key *to, struct entry *old) {
	return put_beside(t, e, to, old, value_type_of(t, e)->copy);
}

/* Deletes an entry whose value another entry has now. */
static void delete_moved(struct tenant *t, const struct key *from, struct entry *e) {
	t->shard->moved = entry_ref(t->shard, e);
	keyspace_delete(t, from, e);
	t->shard->moved = 0;
}

/* Moves a value within a transaction, which keeps the block of the source until its commit. */
static int move_kept(struct tenant *t, const struct key *from, struct entry *e, const struct key *to,
		     struct entry *old) {
	int error = put_beside(t, e, to, old, NULL);
	if (error == 0)
		delete_moved(t, from, e);
	return error;
}

/* The quota need not have room for both entries, because one of them stays. So the source is neither counted nor in the
 * LRU list while room is made for the other. */
int keyspace_move(struct tenant *t, const struct key *from, struct entry *e, const struct key *to, struct entry *old) {
	struct shard *s = t->shard;
	struct database *d = tenant_database(t, from->db_slot);
	bool ttl = entry_has(e, ENTRY_TTL);
	size_t bytes = entry_block_size(e);
	if (undo_keeps(s, e) && quota_has_to_fit(t, bytes))
		return move_kept(t, from, e, to, old);
	lru_remove(s->arena, &t->record->lru, entry_ref(s, e));
	account_entry(t, d, from->db_slot, ttl, bytes, false);
	keyspace_begin(s);
	int error = put(t, e, to, old, 0, NULL);
	account_entry(t, d, from->db_slot, ttl, bytes, true);
	if (error == 0)
		delete_moved(t, from, e);
	else
		lru_push(s->arena, &t->record->lru, entry_ref(s, e));
	keyspace_commit(s);
	return error;
}

static void swap_counters(counter *a, counter *b) {
	uint64_t value = counter_get(a);
	counter_set(a, counter_get(b));
	counter_set(b, value);
}

void keyspace_swap(struct tenant *t, unsigned a, unsigned b) {
	struct tenant_record *record = t->record;
	unsigned differ = record->db_slots[a] ^ record->db_slots[b];
	if (undo_active(t->shard))
		undo_note_order(t->shard, record);
	record->order ^= (uint64_t)differ << 4 * a ^ (uint64_t)differ << 4 * b; /* one store */
	crash_point();
	record_read_order(record);
	swap_counters(&t->counters.db_keys[a], &t->counters.db_keys[b]);
	swap_counters(&t->counters.db_expiring[a], &t->counters.db_expiring[b]);
}
