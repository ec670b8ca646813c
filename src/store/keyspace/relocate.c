/* Moves and copies of values, and the exchange of whole databases.
 *
 * An entry has its key in its block, so a value gets a new block under its new key. Making room for that block must not
 * evict the source. A copy therefore makes both entries the most recently used, first the source, then the entry that
 * it replaces. Eviction goes by age and stops at the source. */
#include "atomdb/store/relocate.h"

#include "atomdb/store/keyspace.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/account.h"
#include "store/keyspace/copy.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/record.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"

/* A hook of the type that makes a copied value a value of its own; NULL: the value moves. */
typedef int (*own_value)(struct tenant *t, const struct entry *e, char *stored);

/* Makes a draft for the stored bytes of `e`. Does not evict `e` as long as `keep` is in the list. */
static int make_draft(struct tenant *t, const struct entry *e, const struct key *to, struct entry *old, ref keep,
		      struct draft *draft) {
	size_t len = entry_stored(e).len;
	struct database *d = draft_database(t, to, len, keep);
	if (d == NULL)
		return ATOMDB_E_OOM;
	return draft_make(t, d, to, old, len, entry_flags(e) & ENTRY_FORM, entry_deadline(e), keep, draft);
}

/* Fills the draft, and publishes it under its key. */
static int publish(struct tenant *t, const struct entry *e, const struct key *to, struct entry *old,
		   struct draft *draft, own_value own) {
	struct slice stored = entry_stored(e);
	if (own == NULL) {
		draft_fill(draft, stored.data, stored.len);
	} else {
		copy_bytes(draft->value, stored.data, stored.len);
		int error = own(t, e, draft->value);
		if (error != 0) {
			draft_discard(t->shard, draft);
			return error;
		}
		draft_seal(draft);
	}
	draft_publish(t, tenant_database(t, to->db_slot), to, old, draft);
	return 0;
}

/* Publishes an entry with the stored bytes of `e` under another key, while both entries are in the list. */
static int put_beside(struct tenant *t, const struct entry *e, const struct key *to, struct entry *old, own_value own) {
	struct draft draft;
	struct shard *s = t->shard;
	ref from = entry_ref(s, e);
	lru_touch(s->arena, &t->record->lru, from);
	if (old != NULL)
		lru_touch(s->arena, &t->record->lru, entry_ref(s, old));
	int error = make_draft(t, e, to, old, from, &draft);
	return error != 0 ? error : publish(t, e, to, old, &draft, own);
}

int keyspace_copy(struct tenant *t, struct entry *e, const struct key *to, struct entry *old) {
	return put_beside(t, e, to, old, value_type_of(t, e)->copy);
}

/* Deletes an entry whose value another one has now. The open scope has room for that. */
static int delete_moved(struct tenant *t, const struct key *from, struct entry *e) {
	t->shard->moved = entry_ref(t->shard, e);
	int error = keyspace_delete(t, from, e);
	t->shard->moved = 0;
	return error;
}

/* Moves a value within a transaction, which keeps the block of the source until its commit. */
static int move_kept(struct tenant *t, const struct key *from, struct entry *e, const struct key *to,
		     struct entry *old) {
	int error = put_beside(t, e, to, old, NULL);
	return error != 0 ? error : delete_moved(t, from, e);
}

/* Makes a draft as if the entry were gone: the quota has room for one of both only. Meanwhile the entry neither counts
 * nor can be evicted. At check points it counts: see room_pause(). */
static int make_draft_instead(struct tenant *t, const struct key *from, struct entry *e, const struct key *to,
			      struct entry *old, struct draft *draft) {
	struct shard *s = t->shard;
	struct uncounted source = {t, tenant_database(t, from->db_slot), entry_ref(s, e)};
	fiber_forbid();
	account_uncount(&source);
	s->uncounted = &source;
	int error = make_draft(t, e, to, old, 0, draft);
	s->uncounted = NULL;
	account_count_again(&source);
	fiber_allow();
	return error;
}

int keyspace_move(struct tenant *t, const struct key *from, struct entry *e, const struct key *to, struct entry *old) {
	struct shard *s = t->shard;
	struct draft draft;
	keyspace_begin(s);
	int error = undo_reserve(t, UNDO_MOVE);
	if (error == 0 && undo_keeps(s, e) && quota_has_to_fit(t, entry_block_size(e))) {
		error = move_kept(t, from, e, to, old);
	} else if (error == 0) {
		error = make_draft_instead(t, from, e, to, old, &draft);
		if (error == 0) {
			if (to->name.len > COPY_PIECE)
				copy_long(draft.value - to->name.len, to->name.data, to->name.len);
			error = publish(t, e, to, old, &draft, NULL);
		}
		if (error == 0)
			error = delete_moved(t, from, e);
	}
	keyspace_commit(s);
	return error;
}

static void swap_counters(counter *a, counter *b) {
	uint64_t value = counter_get(a);
	counter_set(a, counter_get(b));
	counter_set(b, value);
}

int keyspace_swap(struct tenant *t, unsigned a, unsigned b) {
	struct tenant_record *record = t->record;
	unsigned differ = record->db_slots[a] ^ record->db_slots[b];
	if (undo_active(t->shard) && undo_note_order(t) != 0)
		return ATOMDB_E_OOM;
	record->order ^= (uint64_t)differ << 4 * a ^ (uint64_t)differ << 4 * b; /* one store */
	crash_point();
	record_read_order(record);
	swap_counters(&t->counters.db_keys[a], &t->counters.db_keys[b]);
	swap_counters(&t->counters.db_expiring[a], &t->counters.db_expiring[b]);
	return 0;
}
