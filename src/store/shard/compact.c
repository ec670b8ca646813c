#include "store/shard/compact.h"

#include "atomdb/store/shard.h"
#include "store/keyspace/draft.h"

/* Entries that move together: their buckets and neighbours are fetched first, so that the misses overlap. */
#define BATCH 16
/* The cost of a move, in blocks looked at: a fixed number, and one for each of so many bytes. */
#define MOVE_UNITS 2u
#define UNIT_BYTES 1024u

static struct database *database_of(const struct shard *s, const struct entry *e) {
	ref record = shard_directory(s)[entry_tenant(e)].record;

	return record == 0 ? NULL
			   : database_at(s, ((const struct tenant_record *)arena_at(s->arena, record))
						    ->databases[entry_database(e)]);
}

static uint64_t hash_of(const struct shard *s, const struct entry *e) {
	struct slice name = entry_key(e);

	return hash_bytes(&s->context.seed, name.data, name.len);
}

/* To everything but its watcher this is a value that is replaced by itself. */
static bool move(struct shard *s, ref from, uint64_t hash) {
	struct entry *old = entry_at(s, from);
	struct database *d = database_of(s, old);
	struct tenant *t = s->tenants[entry_tenant(old)];
	struct draft draft = {.owner = old->owner, .size = entry_size(old)};

	if (d == NULL || t == NULL)
		return false;
	draft.block = arena_alloc_reserve(s->arena, draft.size, ARENA_ENTRY);
	if (draft.block == 0)
		return false;
	draft.entry = entry_at(s, draft.block);
	/* With what is behind the value: the check includes it. */
	size_t whole = (draft.size + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
	memcpy(&draft.entry->sizes, &old->sizes, whole - offsetof(struct entry, sizes));
	const struct key key = {entry_key(old), hash, entry_database(old)};
	change_watcher watcher = t->watcher;

	t->watcher = NULL;
	draft_publish(t, d, &key, old, &draft);
	t->watcher = watcher;
	counter_add(&t->counters.moved, 1);
	counter_add(&s->counters.moved, 1);
	counter_add(&s->counters.moved_bytes, arena_block_size(draft.size));
	return true;
}

bool compact_move(struct shard *s, ref from) {
	return move(s, from, hash_of(s, entry_at(s, from)));
}

/* Takes one step after the other for all of a batch: each reads what the one before has brought. */
static void fetch(const struct shard *s, const ref *blocks, unsigned count, uint64_t *hashes) {
	for (unsigned i = 0; i < count; i++) {
		const struct entry *e = entry_at(s, blocks[i]);
		const struct database *d = database_of(s, e);

		hashes[i] = hash_of(s, e);
		if (d != NULL)
			(void)table_fetch_bucket(&s->context, &d->table, hashes[i]);
		table_fetch_links(&s->context, entry_block(e));
	}
}

static unsigned move_batch(struct shard *s, unsigned units) {
	struct fragmentation *p = &s->compaction.fragmentation;
	ref blocks[BATCH];
	uint64_t hashes[BATCH];
	unsigned count = fragmentation_take(p, s->arena, blocks, BATCH, &units);

	fetch(s, blocks, count, hashes);
	for (unsigned i = 0; i < count && fragmentation_make_way(p, s->arena, blocks[i]); i++) {
		size_t size = entry_size(entry_at(s, blocks[i]));
		unsigned cost = MOVE_UNITS + (unsigned)(size / UNIT_BYTES);

		(void)move(s, blocks[i], hashes[i]);
		units -= cost < units ? cost : units;
	}
	return units;
}

void compact_work(struct shard *s, unsigned units) {
	struct fragmentation *p = &s->compaction.fragmentation;

	/* Dropped entries, and entries of an open undo scope, are in no table. */
	if (p->phase == FRAGMENTATION_IDLE || s->root->dropped != 0 || s->undo_depth != 0)
		return;
	if (p->phase == FRAGMENTATION_SURVEY)
		fragmentation_survey(p, s->arena, &units);
	while (units != 0 && p->phase == FRAGMENTATION_PASS)
		units = move_batch(s, units);
	if (p->phase == FRAGMENTATION_IDLE)
		s->compaction.least = fragmentation_waste(s->arena);
}

void shard_purge(struct shard *s) {
	struct compaction *c = &s->compaction;

	/* Repeated requests must not make it start over. */
	if (c->fragmentation.phase == FRAGMENTATION_IDLE || !c->fragmentation.thorough)
		fragmentation_start(&c->fragmentation, true);
	c->purge = true;
}
