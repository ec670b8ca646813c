/* Sets several keys, all or none. It makes the blocks that need no eviction, then plans the evictions for all others
 * together, makes them, and only then publishes the first key. The header says when a refused call can have evicted
 * entries. */
#include "atomdb/store/set_all.h"

#include <stdlib.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/keyspace/account.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/record.h"
#include "store/keyspace/room.h"
#include "store/keyspace/undo.h"
#include "store/value/string.h"

/* The size classes of blocks up to ARENA_SLAB_MAX: see arena_block_size(). */
#define SIZES (ARENA_FINE_MAX / ARENA_UNIT + 4 * 8)

/* A block that is not published yet. */
struct unpublished {
	ref block;
	uint32_t owner;
	size_t size;
};

struct batch {
	struct tenant *tenant;
	unsigned db_slot;
	const struct slice *pairs;
	size_t count;
	int64_t deadline;
	uint64_t entries; /* new ones */
	uint64_t bytes;   /* of new blocks, less those that are freed */
	uint64_t kept;    /* bytes that a transaction frees at its end, and that need not fit into the quota */
	ref keep;         /* the least recently used entry that is replaced, or 0 */
	bool full;        /* the quota or the fair share has no room without evictions */
	struct unpublished *blocks; /* `count`; block is 0 if it is not made yet */
};

static struct key key_of(const struct batch *b, size_t i) {
	return keyspace_long_key(b->tenant, b->db_slot, b->pairs[2 * i]);
}

static size_t block_size(const struct batch *b, size_t i, const struct key *key) {
	struct string_form form;
	string_choose_form(b->pairs[2 * i + 1], &form);
	return arena_block_size(draft_size(key, form.stored.len, form.flags, b->deadline));
}

/* Makes `e` the most recently used entry, and protects it and newer entries from eviction. */
static void keep_entry(struct batch *b, const struct entry *e) {
	struct shard *s = b->tenant->shard;
	ref block = entry_ref(s, e);
	if (b->keep == 0)
		b->keep = block;
	else if (b->keep == block && e->lru_prev != 0)
		b->keep = e->lru_prev;
	lru_touch(s->arena, &b->tenant->record->lru, block);
}

/* ---- room ---- */

/* Counts a pair whose name was not counted before. */
static void count_pair(struct batch *b, size_t i) {
	struct shard *s = b->tenant->shard;
	struct key key = key_of(b, i);
	const struct entry *old = keyspace_find(b->tenant, &key, LOOKUP_PEEK);
	b->bytes += block_size(b, i, &key);
	b->entries += old == NULL;
	if (old == NULL)
		return;
	if (!undo_keeps(s, old)) {
		b->bytes -= entry_block_size(old); /* may wrap, the sum does not */
	} else if (!quota_has_to_fit(b->tenant, b->kept + entry_block_size(old))) {
		b->kept += entry_block_size(old);
		b->bytes -= entry_block_size(old);
	}
	keep_entry(b, old);
}

struct numbered {
	uint64_t hash;
	size_t number;
};

static int compare_numbered(const void *x, const void *y) {
	const struct numbered *a = x, *b = y;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

/* Counts the last pair of each name. Returns 0 or ATOMDB_E_OOM. */
static int count_pairs(struct batch *b) {
	struct numbered *order = malloc(b->count * sizeof *order);
	if (order == NULL)
		return ATOMDB_E_OOM;
	for (size_t i = 0; i < b->count; i++) {
		order[i] = (struct numbered){key_of(b, i).hash, i};
		(void)fiber_check();
	}
	qsort(order, b->count, sizeof *order, compare_numbered);
	b->entries = b->bytes = 0;
	for (size_t i = 0; i < b->count; i++) {
		if (i + 1 == b->count || order[i + 1].hash != order[i].hash)
			count_pair(b, order[i].number);
		(void)fiber_check();
	}
	free(order);
	if ((int64_t)b->bytes < 0)
		b->bytes = 0;
	return 0;
}

/* Counts all pairs as new keys: an upper bound. */
static void count_most(struct batch *b) {
	for (size_t i = 0; i < b->count; i++) {
		struct key key = key_of(b, i);
		b->entries += keyspace_find(b->tenant, &key, LOOKUP_PEEK) == NULL;
		b->bytes += block_size(b, i, &key);
		(void)fiber_check();
	}
}

static uint64_t growth_of(const struct batch *b) {
	const struct database *d = tenant_database(b->tenant, b->db_slot);
	if (d != NULL)
		return table_growth_many(&d->table, b->entries);
	return arena_block_size(sizeof *d) + table_growth_many(&(struct table){0}, b->entries);
}

static bool is_over(const struct batch *b, uint64_t growth) {
	return quota_over(b->tenant, b->entries, b->bytes + growth) ||
	       fair_share_is_above(b->tenant, b->bytes + growth);
}

/* Counts the room that the pairs need, and returns whether the quota can have it. Evicts nothing. */
static int check_room(struct batch *b) {
	count_most(b);
	b->full = is_over(b, growth_of(b));
	if (__builtin_expect(!b->full, 1))
		return 0;
	int error = count_pairs(b);
	if (error == 0 && !quota_fits(b->tenant, b->entries, b->bytes + growth_of(b), b->keep))
		error = ATOMDB_E_OOM;
	return error;
}

/* Counts a block that has yet to be allocated. */
static void count_block(struct fair_share_blocks *b, size_t size) {
	unsigned i = 0;
	if (size > ARENA_SLAB_MAX) {
		b->large += size;
		return;
	}
	while (i < b->sizes && b->small[i].size != size)
		i++;
	if (i == b->sizes)
		b->small[b->sizes++] = (struct eviction_plan_blocks){size, 0};
	b->small[i].count++;
}

/* Makes room for the blocks that are left, the table and the database, and then within the quota. */
static int make_room(struct batch *b) {
	struct tenant *t = b->tenant;
	struct eviction_plan_blocks left[SIZES];
	if (!b->full && count_pairs(b) != 0)
		return ATOMDB_E_OOM;
	uint64_t growth = growth_of(b), bytes = b->bytes + growth;
	bool first = tenant_database(t, b->db_slot) == NULL;
	size_t database = first ? arena_block_size(sizeof(struct database)) : 0;
	struct fair_share_blocks blocks = {.small = left, .table = growth - database, .database = database};
	for (size_t i = 0; i < b->count; i++) {
		struct key key = key_of(b, i);
		if (b->blocks[i].block == 0)
			count_block(&blocks, block_size(b, i, &key));
	}
	if (fair_share_make_room(t, bytes, &blocks, b->entries, b->keep) != 0)
		return ATOMDB_E_OOM;
	return quota_evict_long(t, NULL, b->entries, bytes, b->keep);
}

/* ---- the blocks ---- */

static int draft(struct batch *b, size_t i, bool evicts) {
	struct key key = key_of(b, i);
	struct draft made;
	struct string_form form;
	string_choose_form(b->pairs[2 * i + 1], &form);
	int error =
		evicts ? draft_make_in_room(b->tenant, &key, form.stored.len, form.flags, b->deadline, b->keep, &made)
		       : draft_try(b->tenant, &key, form.stored.len, form.flags, b->deadline, &made);
	if (error != 0)
		return error;
	draft_fill(&made, form.stored.len != 0 ? form.stored.data : "", form.stored.len);
	b->blocks[i] = (struct unpublished){made.block, made.owner, made.size};
	return 0;
}

/* Makes the blocks that need no eviction. Returns whether these are all. */
static bool draft_without_eviction(struct batch *b) {
	bool all = true;
	for (size_t i = 0; i < b->count; i++) {
		if (draft(b, i, false) != 0)
			all = false;
		(void)fiber_check();
	}
	return all;
}

/* Makes the other blocks, after room was made for them. */
static int draft_others(struct batch *b) {
	int error = 0;
	for (size_t i = 0; i < b->count && error == 0; i++)
		if (b->blocks[i].block == 0)
			error = draft(b, i, true);
	return error;
}

/* Makes all blocks, and room in the table. */
static int draft_all(struct batch *b) {
	struct tenant *t = b->tenant;
	struct key first = key_of(b, 0);
	bool all = draft_without_eviction(b);
	int error = 0;
	if (__builtin_expect(b->full || !all || tenant_database(t, b->db_slot) == NULL, 0)) {
		error = make_room(b);
		if (error == 0)
			error = draft_others(b);
	}
	room_end(t);
	struct database *d = error != 0 ? NULL : draft_database(t, &first, b->pairs[1].len, b->keep);
	/* Last: an eviction may let the table shrink. */
	if (d != NULL) {
		error = table_reserve_many(&t->shard->context, &d->table, b->entries);
		account_table(t, d);
	}
	fair_share_end(t->shard);
	return d == NULL ? ATOMDB_E_OOM : error;
}

static void free_blocks(const struct batch *b) {
	struct shard *s = b->tenant->shard;
	for (size_t i = 0; i < b->count; i++)
		if (b->blocks[i].block != 0)
			arena_free(s->arena, b->blocks[i].block, b->blocks[i].size, ARENA_ENTRY);
}

static void publish(const struct batch *b, struct database *d, size_t i, const struct key *key) {
	struct tenant *t = b->tenant;
	const struct unpublished *u = &b->blocks[i];
	struct draft made = {
		.block = u->block, .owner = u->owner, .size = u->size, .entry = entry_at(t->shard, u->block)};
	struct entry *old = keyspace_find(t, key, LOOKUP_TOUCH); /* the same key may come twice */
	if (old == NULL) {
		(void)table_reserve(&t->shard->context, &d->table);
		account_table(t, d);
	}
	draft_publish(t, d, key, old, &made);
}

static int set_all(struct batch *b, string_written written, void *context) {
	struct tenant *t = b->tenant;
	int error = check_room(b);
	if (error == 0)
		error = draft_all(b);
	if (error != 0) {
		free_blocks(b);
		return error;
	}
	struct database *d = tenant_database(t, b->db_slot);
	keyspace_begin(t->shard);
	error = undo_reserve(t, UNDO_REPLACE * b->count);
	if (error != 0)
		free_blocks(b);
	for (size_t i = 0; i < b->count && error == 0; i++) {
		struct key key = key_of(b, i);
		publish(b, d, i, &key);
		written(context, &key);
		(void)fiber_check();
	}
	keyspace_commit(t->shard);
	return error;
}

int string_set_all(struct tenant *t, unsigned db_slot, const struct slice *pairs, size_t count, string_written written,
		   void *context) {
	struct batch b = {
		.tenant = t,
		.db_slot = db_slot,
		.pairs = pairs,
		.count = count,
		.deadline = draft_deadline(t, NULL, DEADLINE_NONE),
		.blocks = calloc(count, sizeof *b.blocks),
	};
	int error = b.blocks == NULL ? ATOMDB_E_OOM : set_all(&b, written, context);
	free(b.blocks);
	return error;
}
