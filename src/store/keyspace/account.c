#include "store/keyspace/account.h"

/* The number of old buckets that each change of a resizing table moves. */
#define MOVE_PER_CHANGE 2

void account_table(struct tenant *t, struct database *d) {
	struct shard *s = t->shard;
	uint64_t bytes = table_memory(&d->table);
	if (bytes != d->table_bytes) {
		d->bytes += bytes - d->table_bytes;
		counter_add(&t->counters.bytes, bytes - d->table_bytes);
		d->table_bytes = bytes;
	}
	if (d->table.old.buckets != 0 && !d->resizing) {
		d->resizing = true;
		d->next_resizing = s->root->resizing;
		s->root->resizing = (ref)((size_t)((char *)d - (char *)arena_at(s->arena, 0)) / ARENA_UNIT);
		counter_add(&s->counters.resizes, 1);
	}
}

void account_table_step(struct tenant *t, struct database *d) {
	table_step(&t->shard->context, &d->table, MOVE_PER_CHANGE);
	account_table(t, d);
}

void account_expiring(struct tenant *t, struct database *d, unsigned db_slot, bool more) {
	uint64_t one = more ? 1 : UINT64_MAX;
	d->expiring += one;
	counter_add(&t->counters.keys_expiring, one);
	counter_add(&t->counters.db_expiring[t->record->numbers[db_slot]], one);
}

void account_entry(struct tenant *t, struct database *d, unsigned db_slot, bool ttl, size_t bytes, bool more) {
	uint64_t one = more ? 1 : UINT64_MAX;
	uint64_t size = more ? bytes : (uint64_t)0 - bytes;
	d->bytes += size;
	counter_add(&t->counters.bytes, size);
	counter_add(&t->counters.keys, one);
	counter_add(&t->counters.db_keys[t->record->numbers[db_slot]], one);
	counter_add(&t->shard->counters.keys, one);
	if (ttl)
		account_expiring(t, d, db_slot, more);
}

/* Counts the entry as one more, or as one less. */
static void count(const struct uncounted *u, bool more) {
	const struct entry *e = entry_at(u->tenant->shard, u->block);
	account_entry(u->tenant, u->database, entry_database(e), entry_has(e, ENTRY_TTL), entry_block_size(e), more);
}

void account_uncount(const struct uncounted *u) {
	lru_remove(u->tenant->shard->arena, &u->tenant->record->lru, u->block);
	count(u, false);
}

void account_count_again(const struct uncounted *u) {
	count(u, true);
	lru_push(u->tenant->shard->arena, &u->tenant->record->lru, u->block);
}
