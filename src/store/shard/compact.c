#include "store/shard/compact.h"

#include "atomdb/store/shard.h"
#include "atomdb/util/fiber.h"
#include "store/keyspace/draft.h"

/* Entries that move together. Their buckets and neighbours are prefetched first, so that the cache misses overlap. */
#define BATCH 16
/* The cost of a move in units: MOVE_UNITS, and one more for each UNIT_BYTES bytes. */
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

/* Publishes a copy of the entry over itself. The watcher is not called: the value is unchanged. */
static bool move(struct shard *s, ref from, uint64_t hash) {
	struct entry *old = entry_at(s, from);
	struct database *d = database_of(s, old);
	struct tenant *t = s->tenants[entry_tenant(old)];
	struct draft draft = {.owner = old->owner, .size = entry_size(old)};

	if (d == NULL || t == NULL || tenant_suspended(t))
		return false;
	draft.block = arena_alloc_reserve(s->arena, draft.size, ARENA_ENTRY);
	if (draft.block == 0)
		return false;
	draft.entry = entry_at(s, draft.block);
	/* Copy the bytes after the value too: the check includes them. */
	size_t whole = (draft.size + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
	memcpy(&draft.entry->sizes, &old->sizes, whole - offsetof(struct entry, sizes));
	const struct key key = {entry_key(old), hash, entry_database(old)};
	change_watcher watcher = t->watcher;

	fiber_forbid();
	t->watcher = NULL;
	s->moved = from;
	draft_publish(t, d, &key, old, &draft);
	s->moved = 0;
	t->watcher = watcher;
	fiber_allow();
	counter_add(&t->counters.moved, 1);
	counter_add(&s->counters.moved, 1);
	counter_add(&s->counters.moved_bytes, arena_block_size(draft.size));
	return true;
}

bool compact_move(struct shard *s, ref from) {
	return move(s, from, hash_of(s, entry_at(s, from)));
}

/* Prefetches the buckets and links of a batch, and sets `hashes`. */
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

	/* Dropped entries, and removed entries that an open scope keeps, are in no table. */
	if (p->phase == FRAGMENTATION_IDLE || s->root->dropped != 0 || s->scope.depth != 0)
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

	/* A repeated request must not restart the compaction. */
	if (c->fragmentation.phase == FRAGMENTATION_IDLE || !c->fragmentation.thorough)
		fragmentation_start(&c->fragmentation, true);
	c->purge = true;
}
