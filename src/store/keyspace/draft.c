/* A change of a value makes a new block, fills it, and publishes it by one store into the slot of the table. The old
 * block is freed last. So the table has either the old value or the new one. New keys, other sizes and a first deadline
 * take the same path. Integers, other deadlines, and strings that grow within their block change in place. */
#include "store/keyspace/draft.h"

#include <assert.h>

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/crash_point.h"
#include "store/arena/pages.h"
#include "store/keyspace/account.h"
#include "store/keyspace/change.h"
#include "store/keyspace/check.h"
#include "store/keyspace/copy.h"
#include "store/keyspace/drop.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/room.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"

/* Dropped entries or databases freed with each new key. */
#define FREE_PER_KEY 4
/* Bytes of a new table. */
#define FIRST_TABLE 64

/* Bytes of free pages that are given back between two check points. */
#define TRIM_PIECE ((size_t)256 << 10)

/* Gives free pages back before the allocation of a large block, which would give all of them back at once. */
static void trim_before(struct tenant *t, size_t size) {
	while (size >= TRIM_PIECE && arena_trim_before(t->shard->arena, size, TRIM_PIECE))
		(void)room_pause(t);
}

/* Returns whether the allocation of a large block has to make room in the budget. */
static bool lacks_pages(const struct tenant *t, size_t size) {
	const struct arena *a = t->shard->arena;
	return size >= TRIM_PIECE && memory_budget_lacking(arena_budget_of(a), arena_block_size(size), false) != 0 &&
	       !pages_fit_dirty(a, (uint32_t)(arena_block_size(size) / ARENA_PAGE));
}

/* Allocates a block. If the shard or the machine is full, the tenant or other tenants make room. */
static ref allocate(struct tenant *t, size_t size, enum arena_kind kind, bool zero, ref keep) {
	struct arena *a = t->shard->arena;
	ref block = zero ? arena_alloc_zero(a, size, kind) : arena_alloc(a, size, kind);
	if (__builtin_expect(block != 0, 1))
		return block;
	for (unsigned tries = 0; block == 0 && fair_share_make_way(t, size, kind, keep, tries); tries++)
		block = zero ? arena_alloc_zero(a, size, kind) : arena_alloc(a, size, kind);
	fair_share_end(t->shard);
	if (block == 0)
		counter_add(&t->shard->counters.refused, 1);
	return block;
}

/* Makes room in the table for one more entry, likewise. */
static int reserve_slot(struct tenant *t, struct database *d, ref keep) {
	const struct table_context *c = &t->shard->context;
	int error = table_reserve(c, &d->table);
	if (__builtin_expect(error == 0, 1))
		return 0;
	size_t size = table_growth(&d->table);
	for (unsigned tries = 0; error != 0 && fair_share_make_way(t, size, ARENA_OTHER, keep, tries); tries++)
		error = table_reserve(c, &d->table);
	fair_share_end(t->shard);
	return error;
}

/* Counts the block of the entry. */
static void count_block(struct fair_share_blocks *b, struct eviction_plan_blocks *one) {
	if (one->size > ARENA_SLAB_MAX) {
		b->large = one->size;
		return;
	}
	b->small = one;
	b->sizes = 1;
}

/* Makes room for a database, its table and its first entry of `entry` bytes. */
static int make_room_for_database(struct tenant *t, size_t database, size_t entry, ref keep) {
	struct eviction_plan_blocks one = {entry, 1};
	struct fair_share_blocks blocks = {.table = FIRST_TABLE, .database = database};
	count_block(&blocks, &one);
	return fair_share_make_room(t, database + FIRST_TABLE + entry, &blocks, 1, keep);
}

/* Makes a database, with room for it and its first entry. */
static __attribute__((noinline)) struct database *make_database(struct tenant *t, const struct key *key, size_t len,
								ref keep) {
	size_t bytes = arena_block_size(sizeof(struct database));
	size_t entry = arena_block_size(entry_header_size(ENTRY_TTL | ENTRY_WIDE) + key->name.len + len);
	if (!quota_fits(t, 1, bytes + FIRST_TABLE + entry, keep))
		return NULL;
	ref block = arena_alloc_zero(t->shard->arena, bytes, ARENA_OTHER);
	if (block == 0 && make_room_for_database(t, bytes, entry, keep) == 0)
		block = allocate(t, bytes, ARENA_OTHER, true, keep);
	room_end(t);
	fair_share_end(t->shard);
	if (block == 0)
		return NULL;
	struct database *d = database_at(t->shard, block);
	d->tenant = t->slot;
	d->db_slot = key->db_slot;
	d->bytes = bytes;
	counter_add(&t->counters.bytes, bytes);
	t->record->databases[key->db_slot] = block;
	return d;
}

struct database *draft_database(struct tenant *t, const struct key *key, size_t len, ref keep) {
	struct database *d = tenant_database(t, key->db_slot);
	return __builtin_expect(d != NULL, 1) ? d : make_database(t, key, len, keep);
}

int64_t draft_deadline(const struct tenant *t, const struct entry *old, int64_t deadline) {
	int64_t now = t->shard->now_ms;
	if (deadline == DEADLINE_KEEP)
		deadline = old != NULL                  ? entry_deadline(old)
			   : t->limits.default_ttl != 0 ? now + t->limits.default_ttl
							: 0;
	else if (deadline == DEADLINE_NONE && t->limits.default_ttl != 0)
		deadline = now + t->limits.default_ttl;
	if (t->limits.max_ttl != 0 && (deadline == 0 || deadline - now > t->limits.max_ttl))
		deadline = now + t->limits.max_ttl;
	return deadline;
}

/* Returns whether the table of `growing` will have a slot for one more entry without a larger array. */
static bool will_have_slot(const struct tenant *t, const struct database *growing, uint64_t bytes) {
	ref oldest = t->record->lru.oldest;
	return table_has_slot(&growing->table) ||
	       (oldest != 0 && quota_exceeded(t, 1, bytes) &&
		tenant_database(t, entry_database(entry_at(t->shard, oldest))) == growing);
}

/* Makes room for one entry more, or for one that grows by `bytes`, within the quota and the fair share. `block` is the
 * size of the entry. The quota evicts last: nothing refuses the write after that, unless other workers or commands take
 * the memory first. */
static __attribute__((noinline)) int make_room(struct tenant *t, const struct database *growing, uint64_t bytes,
					       size_t block, ref keep) {
	unsigned entries = growing != NULL;
	uint64_t growth = growing == NULL ? 0 : table_growth(&growing->table);
	if (!quota_fits(t, entries, bytes + (growth < FIRST_TABLE ? growth : FIRST_TABLE), keep))
		return ATOMDB_E_OOM;
	struct eviction_plan_blocks one = {arena_block_size(block), 1};
	struct fair_share_blocks blocks = {.table = growth,
					   .table_optional = growth != 0 && will_have_slot(t, growing, bytes)};
	count_block(&blocks, &one);
	if (fair_share_make_room(t, bytes + growth, &blocks, entries, keep) != 0)
		return ATOMDB_E_OOM;
	return quota_evict_long(t, growing, entries, bytes, keep);
}

/* Adds the flags that the lengths and the deadline require. */
static inline unsigned draft_flags(const struct key *key, size_t len, unsigned flags, int64_t deadline) {
	if (key->name.len > ENTRY_NARROW_KEY || len > ENTRY_NARROW_VALUE)
		flags |= ENTRY_WIDE;
	return deadline != 0 ? flags | ENTRY_TTL : flags;
}

/* Makes a block with all but the value. May evict entries for it only if `evicts` is true. keyspace_move() writes a
 * long name itself, because there is no check point while an entry is uncounted. */
static inline __attribute__((always_inline)) int fill_draft(struct tenant *t, const struct key *key, size_t len,
							    unsigned flags, int64_t deadline, ref keep, bool evicts,
							    struct draft *out) {
	struct shard *s = t->shard;
	size_t header = entry_header_size(flags), size = header + key->name.len + len;
	ref block = evicts ? allocate(t, size, ARENA_ENTRY, false, keep) : arena_alloc(s->arena, size, ARENA_ENTRY);
	if (block == 0)
		return ATOMDB_E_OOM;

	struct entry *e = entry_at(s, block);
	char *name = (char *)e + header;
	e->sizes = s->used_now;
	if (flags & ENTRY_WIDE) {
		*((struct block_wide *)(void *)name - 1) = (struct block_wide){(uint32_t)key->name.len, (uint32_t)len};
		if (t->written_large != NULL && arena_block_size(size) > t->large)
			t->written_large(t, key, arena_block_size(size));
	} else {
		e->sizes |= (uint32_t)(key->name.len | len << ENTRY_VALUE_SHIFT);
	}
	if (deadline != 0)
		*entry_ttl(e) = (struct block_ttl){.deadline = deadline};
	if (__builtin_expect(key->name.len <= COPY_PIECE, 1))
		memcpy(name, key->name.data, key->name.len);
	else if (!s->uncounted)
		copy_long(name, key->name.data, key->name.len);
	*out = (struct draft){block, entry_owner(t->slot, key->db_slot, flags), size, e, name + key->name.len};
	return 0;
}

/* Makes a draft of a new entry (`growing`), or of one that grows by `bytes`, in a tenant that is full. */
static __attribute__((noinline)) int make_in_full(struct tenant *t, struct database *growing, const struct key *key,
						  size_t len, unsigned flags, int64_t deadline, uint64_t bytes,
						  ref keep, struct draft *out) {
	int error = make_room(t, growing, bytes, draft_size(key, len, flags, deadline), keep);
	if (error == 0)
		error = draft_make_in_room(t, key, len, flags, deadline, keep, out);
	/* Last: an eviction may let the table shrink, and its growth may be optional. */
	if (error == 0 && growing != NULL) {
		room_end(t);
		error = reserve_slot(t, growing, keep);
		account_table(t, growing);
		if (error != 0)
			draft_discard(t->shard, out);
	}
	room_end(t);
	fair_share_end(t->shard);
	return error;
}

/* Makes a draft with a large block. The table has room for its entry. */
static __attribute__((noinline)) int make_large(struct tenant *t, const struct key *key, size_t len, unsigned flags,
						int64_t deadline, uint64_t bytes, ref keep, struct draft *out) {
	size_t size = draft_size(key, len, flags, deadline);
	trim_before(t, size);
	if (lacks_pages(t, size))
		return make_in_full(t, NULL, key, len, flags, deadline, bytes, keep, out);
	return fill_draft(t, key, len, flags, deadline, keep, true, out);
}

int draft_make(struct tenant *t, struct database *d, const struct key *key, struct entry *old, size_t len,
	       unsigned flags, int64_t deadline, ref keep, struct draft *out) {
	struct shard *s = t->shard;
	flags = draft_flags(key, len, flags, deadline);
	size_t size = entry_header_size(flags) + key->name.len + len;
	size_t bytes = arena_block_size(size), growth = 0;
	if (old != NULL) {
		size_t before = arena_block_size(entry_size(old));
		if (undo_active(s)) {
			if (undo_reserve(t, UNDO_REPLACE) != 0)
				return ATOMDB_E_OOM;
			if (undo_keeps(s, old) && quota_has_to_fit(t, before))
				before = 0;
		}
		ref block = entry_ref(s, old);
		lru_touch(s->arena, &t->record->lru, block);
		keep = keep != 0 ? keep : block;
		bytes = bytes > before ? bytes - before : 0;
	} else {
		if (undo_make_room(t, UNDO_REPLACE) != 0)
			return ATOMDB_E_OOM;
		growth = table_growth(&d->table);
	}
	if (__builtin_expect(quota_over(t, old == NULL, bytes + growth) || fair_share_is_above(t, bytes + growth), 0))
		return make_in_full(t, old == NULL ? d : NULL, key, len, flags, deadline, bytes, keep, out);
	if (old == NULL) {
		int error = table_reserve(&s->context, &d->table);
		account_table(t, d);
		if (__builtin_expect(error != 0, 0))
			return make_in_full(t, d, key, len, flags, deadline, bytes, keep, out);
	}
	if (__builtin_expect(size >= TRIM_PIECE, 0))
		return make_large(t, key, len, flags, deadline, bytes, keep, out);
	return fill_draft(t, key, len, flags, deadline, keep, true, out);
}

size_t draft_size(const struct key *key, size_t len, unsigned flags, int64_t deadline) {
	return entry_header_size(draft_flags(key, len, flags, deadline)) + key->name.len + len;
}

int draft_make_in_room(struct tenant *t, const struct key *key, size_t len, unsigned flags, int64_t deadline, ref keep,
		       struct draft *out) {
	size_t size = draft_size(key, len, flags, deadline);
	trim_before(t, size);
	room_use(t, arena_has_block(t->shard->arena, size, ARENA_ENTRY) ? 0 : eviction_plan_pages(size, ARENA_ENTRY));
	return fill_draft(t, key, len, draft_flags(key, len, flags, deadline), deadline, keep, true, out);
}

int draft_try(struct tenant *t, const struct key *key, size_t len, unsigned flags, int64_t deadline,
	      struct draft *out) {
	return fill_draft(t, key, len, draft_flags(key, len, flags, deadline), deadline, 0, false, out);
}

void draft_discard(struct shard *s, const struct draft *draft) {
	arena_free(s->arena, draft->block, draft->size, ARENA_ENTRY);
}

static inline void set_check(struct draft *draft, uint8_t check) {
	draft->entry->sizes |= entry_sizes_check(check);
	draft->owner |= entry_owner_check(check);
}

void draft_seal(struct draft *draft) {
	set_check(draft, __builtin_expect(draft->size > CHECK_PIECE, 0)
				 ? check_of_long(draft->entry, draft->owner, draft->size)
				 : check_of(draft->entry, draft->owner, draft->size));
}

static __attribute__((cold, noinline)) void fill_long(struct draft *draft, const void *stored, size_t len) {
	copy_bytes(draft->value, stored, len);
	set_check(draft, check_of_long(draft->entry, draft->owner, draft->size));
}

void draft_fill(struct draft *draft, const void *stored, size_t len) {
	if (__builtin_expect(draft->size > COPY_PIECE, 0)) {
		fill_long(draft, stored, len);
		return;
	}
	memcpy(draft->value, stored, len);
	set_check(draft, check_of(draft->entry, draft->owner, draft->size));
}

/* A new key frees more than one dropped entry. So a client that fills and flushes in a loop cannot drop entries faster
 * than they are freed. */
static void free_some_dropped(struct shard *s) {
	if (__builtin_expect(s->root->dropped != 0, 0))
		(void)drop_free(s, FREE_PER_KEY);
}

void draft_publish(struct tenant *t, struct database *d, const struct key *key, struct entry *old,
		   const struct draft *draft) {
	struct shard *s = t->shard;
	struct arena *a = s->arena;
	struct wheel *w = &s->root->wheel;
	struct entry *e = draft->entry;
	size_t bytes = arena_block_size(draft->size);
	uint32_t owner = draft->owner;
	fiber_forbid();
	if (undo_active(s))
		owner = undo_create(s, draft->block, owner);
	else if (old != NULL)
		s->root->replaced = entry_ref(s, old) | (uint64_t)draft->block << 32;
	crash_point();
	e->owner = owner;
	crash_point();
	bool ttl = entry_has(e, ENTRY_TTL);
	if (old == NULL) {
		table_add(&s->context, &d->table, key->hash, draft->block);
		lru_push(a, &t->record->lru, draft->block);
		if (ttl)
			wheel_add(a, w, draft->block);
		account_entry(t, d, key->db_slot, ttl, bytes, true);
		if (__builtin_expect(d->table.old.buckets != 0, 0))
			account_table_step(t, d);
		fiber_allow();
		change_tell(t, CHANGE_NEW, key->db_slot, key->name);
		free_some_dropped(s);
		return;
	}
	ref block = entry_ref(s, old);
	size_t size = entry_size(old);
	bool had_ttl = entry_has(old, ENTRY_TTL);
	bool there = table_replace(&s->context, &d->table, key->hash, block, draft->block);
	assert(there);
	(void)there;
	lru_replace(a, &t->record->lru, block, draft->block);
	if (had_ttl && ttl && entry_deadline(old) == entry_deadline(e)) {
		wheel_replace(a, w, block, draft->block);
	} else {
		if (had_ttl)
			wheel_remove(a, w, block);
		if (ttl)
			wheel_add(a, w, draft->block);
	}
	bytes -= arena_block_size(size); /* may wrap; the sums below wrap back */
	d->bytes += bytes;
	counter_add(&t->counters.bytes, bytes);
	if (__builtin_expect(had_ttl != ttl, 0))
		account_expiring(t, d, key->db_slot, ttl);
	if (undo_active(s)) {
		undo_kill(s, block, size, true);
	} else {
		uint32_t old_owner = old->owner;
		old->owner = 0;
		crash_point();
		value_type_free_entry(s, block, old_owner, size);
	}
	fiber_allow();
	change_tell(t, CHANGE_VALUE, key->db_slot, key->name);
}
