/* Rebuilds a shard after a crash from the headers of its blocks.
 *
 * The first step settles interrupted work by clearing headers: a scope that was not committed, dropped databases, an
 * entry that was being replaced. After it, an entry is valid if and only if its owner is not 0, and a second crash
 * changes nothing. Then a pass over all blocks checks each header and rebuilds the bookkeeping of the pages. It clears
 * and counts each entry that fails its checks. A second pass adds the entries to new tables, lists and a new wheel.
 * Only the root, the directory and the records of the tenants are kept.
 *
 * The order of use is in the links of the entries, which no check covers. Recovery follows them from both ends of a
 * tenant's list. It accepts a link only if the entry at its other end has the reverse link, and follows a bounded
 * number of links, because that is slow. The remaining entries go between the two pieces, in the order of their
 * addresses.
 *
 * Recovery trusts no value that it reads: the arena may be damaged. */
#include "store/shard/recover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/check.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"

/* Entries whose buckets are prefetched together. */
#define BATCH 32
/* The most links of a shard that recovery follows from each end of its tenants' lists. A link takes up to about 1 µs,
 * so this bounds the time to about 65 ms for each end. */
#define LINKS_MAX (1u << 16)

struct recovery {
	struct shard *shard;
	uint64_t (*keys)[TENANT_DATABASES]; /* owned: entries found, by tenant slot and database slot */
	struct lru *newer;                  /* owned: by tenant slot, the newer piece of the list, if there are two */
	unsigned links_left[2];             /* links left to follow, from the older and from the newer end */
	ref *kept;                          /* owned, sorted: the blocks to keep that are no entries */
	size_t kept_count;
	uint64_t dropped;
	struct database *dropping; /* the dropped database whose entries are being cleared */
	unsigned batched;
	ref batch[BATCH];
	uint64_t hashes[BATCH];
};

/* Returns the record of a tenant slot, or NULL. */
static struct tenant_record *record_of(const struct shard *s, uint32_t slot) {
	ref record = slot != 0 && slot < s->slots ? shard_directory(s)[slot].record : 0;
	return record == 0 ? NULL : arena_at(s->arena, record);
}

static void note_progress(const struct recovery *r, unsigned entries) {
	if (r->shard->progress != NULL)
		counter_add(r->shard->progress, entries);
}

/* ---- entries ---- */

/* Returns whether a header is valid in a block of `block` bytes. */
static bool is_sound(const struct shard *s, const struct entry *e, size_t block) {
	size_t header = entry_header_size(entry_flags(e));
	if (header > block || record_of(s, entry_tenant(e)) == NULL)
		return false;
	struct slice key = entry_key(e), stored = entry_stored(e);
	if (key.len > block || stored.len > block || key.len > ENTRY_VALUE_MAX || stored.len > ENTRY_VALUE_MAX)
		return false;
	if (entry_has(e, ENTRY_TTL) && entry_deadline(e) <= 0)
		return false;
	return arena_block_size(header + key.len + stored.len) == block && value_type_in(s, e)->is_sound(e);
}

static bool is_same_key(const struct entry *a, const struct entry *b) {
	struct slice x = entry_key(a), y = entry_key(b);
	return entry_tenant(a) == entry_tenant(b) && entry_database(a) == entry_database(b) && x.len == y.len &&
	       memcmp(x.data, y.data, x.len) == 0;
}

static struct entry *live_entry(const struct shard *s, ref block) {
	size_t size;
	if (!arena_find_block(s->arena, block, ARENA_ENTRY, &size))
		return NULL;
	struct entry *e = entry_at(s, block);
	return e->owner != 0 && is_sound(s, e, size) ? e : NULL;
}

/* Sets the check of an entry that was being changed in place, which may not fit. */
static void renew(struct shard *s, ref block) {
	struct entry *e = live_entry(s, block);
	if (e != NULL)
		check_renew(e);
}

/* Renews the checks of the entries that were changing when the process ended. */
static void renew_changing(struct shard *s) {
	renew(s, s->root->changing);
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant_record *record = record_with_undo(s, i);
		if (record != NULL)
			renew(s, record->changing);
	}
}

/* ---- interrupted work ---- */

/* Completes an interrupted replacement. The note of a replacement outlives it, and its blocks may have been reused for
 * other entries. If both are entries with one key, the replacement was interrupted: the entries of scopes and dropped
 * databases are cleared by now. */
static void settle_replaced(struct shard *s) {
	struct entry *old = live_entry(s, (ref)s->root->replaced);
	const struct entry *new = live_entry(s, (ref)(s->root->replaced >> 32));
	if (old != NULL && new != NULL && old != new &&is_same_key(old, new) && check_fits(new))
		old->owner = 0;
}

static void clear_dropped(void *context, ref block) {
	const struct recovery *r = context;
	size_t size;
	if (!arena_find_block(r->shard->arena, block, ARENA_ENTRY, &size))
		return;
	struct entry *e = entry_at(r->shard, block);
	if (entry_tenant(e) == r->dropping->tenant && entry_database(e) == r->dropping->db_slot)
		e->owner = 0;
}

static void settle_dropped(struct recovery *r) {
	struct shard *s = r->shard;
	size_t size;
	ref block = s->root->dropped;
	while (arena_find_block(s->arena, block, ARENA_OTHER, &size) && size >= sizeof(struct database)) {
		r->dropping = database_at(s, block);
		table_each(&s->context, &r->dropping->table, clear_dropped, r);
		/* A damaged list may have a cycle. Cutting each link ends it. */
		ref next = r->dropping->next_dropped;
		r->dropping->next_dropped = 0;
		block = next;
	}
	s->root->dropped = 0;
}

static bool sum_fits(const void *bytes, size_t len, uint64_t sum) {
	return crc64(0, (struct slice){bytes, len}) == sum;
}

/* Removes tenants whose records are damaged, with all their entries. */
static void check_tenants(struct recovery *r) {
	struct shard *s = r->shard;
	for (uint32_t i = 0; i < s->slots; i++) {
		struct tenant_slot *slot = &shard_directory(s)[i];
		struct tenant_record *record = arena_at(s->arena, slot->record);
		size_t size;
		slot->dropped = 0;
		if (slot->record == 0)
			continue;
		bool good = i != 0 && i <= ENTRY_TENANT_MAX &&
			    arena_find_block(s->arena, slot->record, ARENA_OTHER, &size) &&
			    size >= TENANT_RECORD_LEAST &&
			    sum_fits(record->identity.digest, TENANT_DIGEST, record->digest_sum) &&
			    (record->name_sum == 0 ||
			     sum_fits(record->identity.name, sizeof record->identity.name, record->name_sum));
		unsigned db_slots = 0;
		for (unsigned d = 0; good && d < TENANT_DATABASES; d++)
			db_slots |= 1u << (record->order >> 4 * d & 15);
		if (!good || db_slots != UINT16_MAX) {
			slot->record = 0;
			r->dropped++;
		} else if (record->name_sum == 0) {
			memset(record->identity.name, 0, sizeof record->identity.name);
		}
		if (slot->record != 0)
			record->identity.name[TENANT_NAME_MAX] = '\0';
	}
}

/* ---- the first pass ---- */

static int compare_refs(const void *a, const void *b) {
	ref x = *(const ref *)a, y = *(const ref *)b;
	return x < y ? -1 : x > y;
}

static int list_kept(struct recovery *r) {
	struct shard *s = r->shard;
	r->kept = calloc((size_t)s->slots + 2, sizeof *r->kept);
	r->keys = calloc((size_t)s->slots + 1, sizeof *r->keys);
	r->newer = calloc((size_t)s->slots + 1, sizeof *r->newer);
	if (r->kept == NULL || r->keys == NULL || r->newer == NULL)
		return ATOMDB_E_OOM;
	r->kept[r->kept_count++] = arena_find_root(s->arena, SHARD_ROOT_LEAST, sizeof *s->root);
	if (s->slots != 0)
		r->kept[r->kept_count++] = (ref)s->root->directory;
	for (uint32_t i = 0; i < s->slots; i++)
		if (shard_directory(s)[i].record != 0)
			r->kept[r->kept_count++] = shard_directory(s)[i].record;
	qsort(r->kept, r->kept_count, sizeof *r->kept, compare_refs);
	/* Two tenants must not share a record. */
	for (size_t i = 1; i < r->kept_count; i++)
		if (r->kept[i] == r->kept[i - 1])
			return ATOMDB_E_FORMAT;
	return 0;
}

static bool keep(void *context, ref block, size_t size, enum arena_kind kind) {
	struct recovery *r = context;
	if (kind != ARENA_ENTRY)
		return bsearch(&block, r->kept, r->kept_count, sizeof block, compare_refs) != NULL;
	struct entry *e = entry_at(r->shard, block);
	if (!is_sound(r->shard, e, size) || !check_fits(e)) {
		e->owner = 0;
		r->dropped++;
		return false;
	}
	/* The entry is of a scope whose commit was interrupted. From here on, the flag marks an entry that follow() has
	 * found. */
	if (entry_fresh(e))
		e->owner &= ~ENTRY_FRESH;
	r->keys[entry_tenant(e)][entry_database(e)]++;
	note_progress(r, 1);
	return true;
}

/* ---- the order of use ---- */

/* Returns the entry in `block` if it is in use, the tenant's, and not found yet; else NULL. */
static struct entry *linked_entry(const struct recovery *r, uint32_t slot, ref block) {
	size_t size;
	if (block == 0 || !arena_find_block(r->shard->arena, block, ARENA_ENTRY, &size))
		return NULL;
	struct entry *e = entry_at(r->shard, block);
	return e->owner != 0 && entry_tenant(e) == slot && !entry_fresh(e) ? e : NULL;
}

/* Follows the links from one end of a tenant's list, and marks the entries. Returns the last one, or 0. */
static ref follow(struct recovery *r, uint32_t slot, ref end, bool newer) {
	ref last = 0, next = end;
	struct entry *e;
	for (; r->links_left[newer] != 0 && (e = linked_entry(r, slot, next)) != NULL; r->links_left[newer]--) {
		ref *back = newer ? &e->lru_prev : &e->lru_next;
		if (last == 0)
			*back = 0;
		else if (*back != last)
			break;
		e->owner |= ENTRY_FRESH;
		last = next;
		next = newer ? e->lru_next : e->lru_prev;
	}
	if (last != 0)
		*(newer ? &entry_at(r->shard, last)->lru_next : &entry_at(r->shard, last)->lru_prev) = 0;
	return last;
}

static void find_order(struct recovery *r, uint32_t slot, struct tenant_record *record) {
	struct lru old = record->lru;
	ref middle = follow(r, slot, old.oldest, false);
	record->lru = (struct lru){middle, middle != 0 ? old.oldest : 0};
	middle = follow(r, slot, old.newest, true);
	r->newer[slot] = (struct lru){middle != 0 ? old.newest : 0, middle};
}

/* Puts the newer pieces at the newer ends of the lists. */
static void join_order(struct recovery *r) {
	struct shard *s = r->shard;
	for (uint32_t slot = 1; slot < s->slots; slot++) {
		struct lru *newer = &r->newer[slot];
		struct tenant_record *record = record_of(s, slot);
		if (newer->newest == 0)
			continue;
		entry_at(s, newer->oldest)->lru_next = record->lru.newest;
		if (record->lru.newest != 0)
			entry_at(s, record->lru.newest)->lru_prev = newer->oldest;
		else
			record->lru.oldest = newer->oldest;
		record->lru.newest = newer->newest;
	}
}

/* ---- the second pass ---- */

static bool make_database(struct recovery *r, uint32_t slot, unsigned db_slot) {
	struct shard *s = r->shard;
	ref block = arena_alloc_zero(s->arena, sizeof(struct database), ARENA_OTHER);
	if (block == 0)
		return false;
	struct database *d = database_at(s, block);
	d->tenant = slot;
	d->db_slot = db_slot;
	if (table_prepare(&s->context, &d->table, r->keys[slot][db_slot]) != 0) {
		arena_free(s->arena, block, sizeof *d, ARENA_OTHER);
		return false;
	}
	d->table_bytes = table_memory(&d->table);
	d->bytes = arena_block_size(sizeof *d) + d->table_bytes;
	record_of(s, slot)->databases[db_slot] = block;
	return true;
}

static void make_databases(struct recovery *r) {
	struct shard *s = r->shard;
	for (uint32_t slot = 1; slot < s->slots; slot++) {
		struct tenant_record *record = record_of(s, slot);
		if (record == NULL)
			continue;
		find_order(r, slot, record);
		record->lru_number = 0;
		record->kept = (struct retired_counters){0};
		if (record_with_undo(s, slot) != NULL)
			record->parked = (struct block_ttl){0};
		memset(record->databases, 0, sizeof record->databases);
		record_read_order(record);
		for (unsigned db_slot = 0; db_slot < TENANT_DATABASES; db_slot++)
			if (r->keys[slot][db_slot] != 0)
				(void)make_database(r, slot, db_slot);
	}
}

static void insert(struct recovery *r, ref block, uint64_t hash) {
	struct shard *s = r->shard;
	struct entry *e = entry_at(s, block);
	struct tenant_record *record = record_of(s, entry_tenant(e));
	struct database *d = database_at(s, record->databases[entry_database(e)]);
	size_t size = entry_size(e);
	bool ordered = entry_fresh(e);
	e->owner &= ~ENTRY_FRESH;
	/* There was no memory for the database, or damage has made two entries with one key. */
	if (d == NULL || table_find(&s->context, &d->table, hash, entry_key(e)) != 0) {
		struct lru *newer = &r->newer[entry_tenant(e)];
		if (ordered)
			lru_remove(s->arena, newer->newest == block || newer->oldest == block ? newer : &record->lru,
				   block);
		e->owner = 0;
		crash_point();
		arena_free(s->arena, block, size, ARENA_ENTRY);
		r->dropped++;
		return;
	}
	table_add(&s->context, &d->table, hash, block);
	if (!ordered)
		lru_push(s->arena, &record->lru, block);
	if (entry_has(e, ENTRY_TTL)) {
		wheel_add(s->arena, &s->root->wheel, block);
		d->expiring++;
	}
	d->bytes += arena_block_size(size);
	s->recovery.entries++;
	s->recovery.bytes += arena_block_size(size);
}

static void insert_batch(struct recovery *r) {
	struct shard *s = r->shard;
	for (unsigned i = 0; i < r->batched; i++) {
		const struct entry *e = entry_at(s, r->batch[i]);
		struct slice name = entry_key(e);
		const struct database *d = database_at(s, record_of(s, entry_tenant(e))->databases[entry_database(e)]);
		r->hashes[i] = hash_bytes(&s->context.seed, name.data, name.len);
		if (d != NULL)
			(void)table_fetch_bucket(&s->context, &d->table, r->hashes[i]);
	}
	for (unsigned i = 0; i < r->batched; i++)
		insert(r, r->batch[i], r->hashes[i]);
	note_progress(r, r->batched);
	r->batched = 0;
}

static void collect(void *context, ref block) {
	struct recovery *r = context;
	if (entry_at(r->shard, block)->owner == 0)
		return;
	r->batch[r->batched++] = block;
	if (r->batched == BATCH)
		insert_batch(r);
}

/* ---- the whole ---- */

static int rebuild(struct recovery *r) {
	struct shard *s = r->shard;
	struct shard_root *root = s->root;
	check_tenants(r);
	renew_changing(s);
	undo_recover(s, renew);
	renew_changing(s);
	settle_dropped(r);
	settle_replaced(s);
	int error = list_kept(r);
	if (error != 0)
		return error;
	crash_point();
	root->replaced = 0;
	undo_clear(s);
	root->resizing = 0;
	root->pinned = 0;
	root->wheel = (struct wheel){.now = s->now_ms};
	r->dropped += arena_rescan(s->arena, keep, r);
	make_databases(r);
	arena_each(s->arena, ARENA_ENTRY, collect, r);
	insert_batch(r);
	join_order(r);
	s->recovery.dropped = r->dropped;
	return 0;
}

int shard_recover(struct shard *s) {
	struct recovery r = {.shard = s, .links_left = {LINKS_MAX, LINKS_MAX}};
	int error = rebuild(&r);
	free(r.kept);
	free(r.keys);
	free(r.newer);
	return error;
}
