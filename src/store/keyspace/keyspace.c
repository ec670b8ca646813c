/* Every change of a value makes a new block, fills it, and then publishes it with one store into the table's slot; the
 * old block is freed last. So at any instant the table shows the old value or the new one, never half of each, and one
 * code path serves new keys, other sizes and other deadlines alike. Changed in place are only integers (one
 * store), deadlines, and values that grow within their block. */
#include "atomdb/store/keyspace.h"

#include <assert.h>

#include "atomdb/util/error.h"
#include "atomdb/util/number.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/age_histogram.h"
#include "store/keyspace/check.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/record.h"
#include "store/keyspace/undo.h"

/* Old buckets moved with each change of a table that is being resized. */
#define MOVE_PER_CHANGE 2
/* Dropped entries or databases freed with each new key. */
#define FREE_PER_KEY 4
/* Of a new table. */
#define FIRST_TABLE 64

struct key keyspace_key(const struct tenant *t, unsigned db_slot, struct slice name) {
	return (struct key){name, hash_bytes(&t->shard->context.seed, name.data, name.len), db_slot};
}

unsigned keyspace_db_slot(const struct tenant *t, unsigned database) {
	return t->record->db_slots[database];
}

unsigned keyspace_database(const struct tenant *t, unsigned db_slot) {
	return t->record->numbers[db_slot];
}

const void *keyspace_fetch_bucket(const struct tenant *t, const struct key *key) {
	const struct database *d = tenant_database(t, key->db_slot);
	return d == NULL ? NULL : table_fetch_bucket(&t->shard->context, &d->table, key->hash);
}

const struct entry *keyspace_fetch_entry(const struct tenant *t, const struct key *key, const void *bucket) {
	return table_fetch_entry(&t->shard->context, bucket, key->hash);
}

void keyspace_fetch_links(const struct tenant *t, const struct entry *e) {
	table_fetch_links(&t->shard->context, e);
}

uint32_t keyspace_generation(const struct tenant *t) {
	return arena_generation(t->shard->context.arena);
}

void keyspace_account_table(struct tenant *t, struct database *d) {
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

static void table_moved(struct tenant *t, struct database *d) {
	table_step(&t->shard->context, &d->table, MOVE_PER_CHANGE);
	keyspace_account_table(t, d);
}

/* Each key that comes frees more than one of those that were dropped, so that whoever fills and flushes again and again
 * cannot leave them behind faster than they are freed. */
static void free_some_dropped(struct shard *s) {
	if (__builtin_expect(s->root->dropped != 0, 0))
		(void)keyspace_free_dropped(s, FREE_PER_KEY);
}

/* Counts one entry with a deadline more, or less. */
static void count_expiring(struct tenant *t, struct database *d, unsigned db_slot, bool more) {
	uint64_t one = more ? 1 : UINT64_MAX;
	d->expiring += one;
	counter_add(&t->counters.keys_expiring, one);
	counter_add(&t->counters.db_expiring[t->record->numbers[db_slot]], one);
}

void keyspace_count(struct tenant *t, struct database *d, unsigned db_slot, bool ttl, size_t bytes, bool more) {
	uint64_t one = more ? 1 : UINT64_MAX;
	uint64_t size = more ? bytes : (uint64_t)0 - bytes;
	d->bytes += size;
	counter_add(&t->counters.bytes, size);
	counter_add(&t->counters.keys, one);
	counter_add(&t->counters.db_keys[t->record->numbers[db_slot]], one);
	counter_add(&t->shard->counters.keys, one);
	if (ttl)
		count_expiring(t, d, db_slot, more);
}

/* Tells whoever wants to know. */
static inline void tell(struct tenant *t, enum change what, unsigned db_slot, struct slice name) {
	if (__builtin_expect(t->watcher != NULL, 0))
		t->watcher(t, what, keyspace_database(t, db_slot), name);
}

/* Frees an entry that is no longer in the table. `keep`: it is part of what a scope does. */
static void entry_free(struct tenant *t, struct database *d, ref block, bool keep) {
	struct shard *s = t->shard;
	struct entry *e = entry_at(s, block);
	size_t size = entry_size(e);
	lru_remove(s->arena, &t->record->lru, block);
	if (entry_has(e, ENTRY_TTL))
		wheel_remove(s->arena, &s->root->wheel, block);
	keyspace_count(t, d, entry_database(e), entry_has(e, ENTRY_TTL), arena_block_size(size), false);
	if (undo_active(s)) {
		undo_kill(s, block, size, keep);
		return;
	}
	crash_point();
	e->owner = 0;
	crash_point();
	pin_free_entry(s, block, size);
}

static void entry_delete(struct tenant *t, struct database *d, uint64_t hash, ref block, enum change why) {
	bool there = table_remove(&t->shard->context, &d->table, hash, block);
	assert(there);
	(void)there;
	const struct entry *e = entry_at(t->shard, block);
	tell(t, why, entry_database(e), entry_key(e));
	entry_free(t, d, block, why == CHANGE_REMOVED);
	table_moved(t, d);
}

/* Milliseconds since an entry could have been removed. */
static uint64_t lateness(const struct shard *s, int64_t deadline) {
	assert(deadline <= s->now_ms);
	return (uint64_t)(s->now_ms - (deadline > s->stepped_ms ? deadline : s->stepped_ms));
}

void keyspace_expire_due(struct shard *s, ref due, uint64_t hash) {
	struct entry *e = entry_at(s, due);
	struct tenant *t = s->tenants[entry_tenant(e)];
	struct database *d = t == NULL ? NULL : tenant_database(t, entry_database(e));
	if (d == NULL || !table_remove(&s->context, &d->table, hash, due))
		return;
	counter_add(&s->counters.swept, 1);
	age_histogram_add_expired(&s->counters, lateness(s, entry_deadline(e)));
	counter_add(&t->counters.expirations, 1);
	tell(t, CHANGE_EXPIRED, entry_database(e), entry_key(e));
	entry_free(t, d, due, false);
	table_moved(t, d);
}

bool keyspace_evict(struct tenant *t, ref keep) {
	struct shard *s = t->shard;
	for (;;) {
		ref oldest = t->record->lru.oldest;
		if (oldest == 0 || oldest == keep)
			return false;
		struct entry *e = entry_at(s, oldest);
		struct slice name = entry_key(e);
		struct database *d = tenant_database(t, entry_database(e));
		uint64_t hash = hash_bytes(&s->context.seed, name.data, name.len);
		if (d != NULL && table_remove(&s->context, &d->table, hash, oldest)) {
			bool due = entry_due(s, e);
			if (!due)
				age_histogram_add_evicted(&s->counters, s->used_now, e);
			counter_add(due ? &t->counters.expirations : &t->counters.evictions, 1);
			tell(t, due ? CHANGE_EXPIRED : CHANGE_EVICTED, entry_database(e), name);
			entry_free(t, d, oldest, false);
			table_moved(t, d);
			return true;
		}
		/* An entry of a database that was flushed, waiting to be freed. */
		lru_remove(s->arena, &t->record->lru, oldest);
	}
}

/* A block where the shard or the machine may be full: then the tenant, or others, make room. */
static ref allocate(struct tenant *t, size_t size, enum arena_kind kind, bool zero, ref keep) {
	struct arena *a = t->shard->arena;
	ref block = zero ? arena_alloc_zero(a, size, kind) : arena_alloc(a, size, kind);
	if (__builtin_expect(block != 0, 1))
		return block;
	for (unsigned tries = 0; block == 0 && fair_share_make_way(t, size, keep, tries); tries++)
		block = zero ? arena_alloc_zero(a, size, kind) : arena_alloc(a, size, kind);
	fair_share_end(t->shard);
	if (block == 0)
		counter_add(&t->shard->counters.refused, 1);
	return block;
}

/* Room in the table for one entry more, likewise. */
static int reserve_slot(struct tenant *t, struct database *d, ref keep) {
	const struct table_context *c = &t->shard->context;
	int error = table_reserve(c, &d->table);
	if (__builtin_expect(error == 0, 1))
		return 0;
	size_t size = table_growth(&d->table);
	for (unsigned tries = 0; error != 0 && fair_share_make_way(t, size, keep, tries); tries++)
		error = table_reserve(c, &d->table);
	fair_share_end(t->shard);
	return error;
}

/* The entry makes room for the database too. */
static __attribute__((noinline)) struct database *make_database(struct tenant *t, const struct key *key, size_t len,
								ref keep) {
	size_t bytes = arena_block_size(sizeof(struct database));
	size_t entry = arena_block_size(entry_header_size(ENTRY_TTL | ENTRY_WIDE) + key->name.len + len);
	if (!quota_fits(t, 1, bytes + FIRST_TABLE + entry, keep))
		return NULL;
	ref block = allocate(t, sizeof(struct database), ARENA_OTHER, true, keep);
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

struct database *keyspace_database_for_write(struct tenant *t, const struct key *key, size_t len, ref keep) {
	struct database *d = tenant_database(t, key->db_slot);
	return __builtin_expect(d != NULL, 1) ? d : make_database(t, key, len, keep);
}

/* A search that found nothing, or `due`, which is to go. Kept apart from the usual end of one. */
static __attribute__((noinline)) struct entry *find_nothing(struct tenant *t, const struct key *key, enum lookup how,
							    ref due) {
	if (due != 0 && (how == LOOKUP_WRITE || !tenant_holds_expired(t))) {
		counter_add(&t->counters.expirations, 1);
		entry_delete(t, tenant_database(t, key->db_slot), key->hash, due, CHANGE_EXPIRED);
	}
	if (how & LOOKUP_COUNT) {
		counter_add(&t->counters.misses, 1);
		tell(t, CHANGE_MISSED, key->db_slot, key->name);
	}
	return NULL;
}

struct entry *keyspace_find(struct tenant *t, const struct key *key, enum lookup how) {
	const struct shard *s = t->shard;
	const struct database *d = tenant_database(t, key->db_slot);
	ref block = d == NULL ? 0 : table_find(&s->context, &d->table, key->hash, key->name);
	struct entry *e = entry_at(s, block);
	if (block == 0 || __builtin_expect(entry_due(s, e), 0))
		return find_nothing(t, key, how, block);
	if (how & LOOKUP_TOUCH) {
		lru_touch(s->arena, &t->record->lru, block);
		entry_set_used(e, s->used_now);
	}
	if (how & LOOKUP_COUNT)
		counter_add(&t->counters.hits, 1);
	return e;
}

/* Kept apart, like integer_of_text: the usual case saves no registers. */
static __attribute__((noinline)) struct slice text_of_integer(const struct entry *e, char text[KEYSPACE_TEXT]) {
	struct slice stored = entry_stored(e);
	if (entry_is_tagged(e)) {
		memcpy(text, stored.data + 1, stored.len - 1);
		return (struct slice){text, stored.len - 1};
	}
	int64_t value;
	memcpy(&value, stored.data, sizeof value);
	return (struct slice){text, number_format(value, text)};
}

struct slice keyspace_value(const struct entry *e, char text[KEYSPACE_TEXT]) {
	if (__builtin_expect(entry_has(e, ENTRY_INT), 0))
		return text_of_integer(e, text);
	return entry_stored(e);
}

/* Kept apart, so that the usual case is inlined. */
static __attribute__((noinline)) bool integer_of_text(const struct entry *e, int64_t *value) {
	struct slice stored = entry_stored(e);
	size_t tag = entry_is_tagged(e);
	return number_parse((struct slice){stored.data + tag, stored.len - tag}, value);
}

bool keyspace_integer(const struct entry *e, int64_t *value) {
	if (__builtin_expect(!entry_is_integer(e), 0))
		return integer_of_text(e, value);
	memcpy(value, entry_stored(e).data, sizeof *value);
	return true;
}

const char *keyspace_encoding(const struct entry *e) {
	int64_t ignored;
	if (entry_is_tagged(e))
		return "embstr";
	if (entry_has(e, ENTRY_RAW))
		return "raw";
	if (keyspace_integer(e, &ignored))
		return "int";
	return entry_stored(e).len <= 44 ? "embstr" : "raw";
}

struct slice keyspace_name(const struct entry *e) {
	return entry_key(e);
}

int64_t keyspace_deadline(const struct entry *e) {
	return entry_deadline(e);
}

size_t keyspace_memory(const struct entry *e) {
	return arena_block_size(entry_size(e));
}

/* The deadline that a write results in, by the tenant's limits. */
int64_t keyspace_deadline_of_write(const struct tenant *t, const struct entry *old, int64_t deadline) {
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

/* Makes room for one entry more, or for one that grows by `bytes`, within the quota and the fair share. */
static __attribute__((noinline)) int make_room(struct tenant *t, const struct database *growing, uint64_t bytes,
					       ref keep) {
	unsigned entries = growing != NULL;
	uint64_t growth = growing == NULL ? 0 : table_growth(&growing->table);
	if (!quota_fits(t, entries, bytes + (growth < FIRST_TABLE ? growth : FIRST_TABLE), keep))
		return ATOMDB_E_OOM;
	if (fair_share_is_above(t, bytes + growth) && fair_share_make_up(t, bytes + growth, keep) != 0)
		return ATOMDB_E_OOM;
	return quota_evict(t, growing, entries, bytes, keep);
}

/* Flags that the lengths and the deadline ask for. */
static inline unsigned draft_flags(const struct key *key, size_t len, unsigned flags, int64_t deadline) {
	if (key->name.len > ENTRY_NARROW_KEY || len > ENTRY_NARROW_VALUE)
		flags |= ENTRY_WIDE;
	return deadline != 0 ? flags | ENTRY_TTL : flags;
}

/* A block with everything but the value. */
static inline __attribute__((always_inline)) int fill_draft(struct tenant *t, const struct key *key, size_t len,
							    unsigned flags, int64_t deadline, ref keep,
							    struct draft *out) {
	struct shard *s = t->shard;
	size_t header = entry_header_size(flags), size = header + key->name.len + len;
	ref block = allocate(t, size, ARENA_ENTRY, false, keep);
	if (block == 0)
		return ATOMDB_E_OOM;

	struct entry *e = entry_at(s, block);
	char *name = (char *)e + header;
	e->sizes = s->used_now;
	if (flags & ENTRY_WIDE) {
		*((struct entry_wide *)(void *)name - 1) = (struct entry_wide){(uint32_t)key->name.len, (uint32_t)len};
		if (t->written_large != NULL && arena_block_size(size) > t->large)
			t->written_large(t, key, arena_block_size(size));
	} else {
		e->sizes |= (uint32_t)(key->name.len | len << ENTRY_VALUE_SHIFT);
	}
	if (deadline != 0)
		*entry_ttl(e) = (struct entry_ttl){.deadline = deadline};
	memcpy(name, key->name.data, key->name.len);
	*out = (struct draft){block, entry_owner(t->slot, key->db_slot, flags), size, e, name + key->name.len};
	return 0;
}

int keyspace_draft(struct tenant *t, struct database *d, const struct key *key, struct entry *old, size_t len,
		   unsigned flags, int64_t deadline, ref keep, struct draft *out) {
	struct shard *s = t->shard;
	flags = draft_flags(key, len, flags, deadline);
	size_t size = entry_header_size(flags) + key->name.len + len;
	size_t bytes = arena_block_size(size), growth = 0;
	if (old != NULL) {
		size_t before = arena_block_size(entry_size(old));
		if (undo_keeps(s, old) && quota_has_to_fit(t, before))
			before = 0;
		ref block = entry_ref(s, old);
		lru_touch(s->arena, &t->record->lru, block);
		keep = keep != 0 ? keep : block;
		bytes = bytes > before ? bytes - before : 0;
	} else {
		growth = table_growth(&d->table);
	}
	int error = 0;
	if (__builtin_expect(keyspace_over(t, old == NULL, bytes + growth) || fair_share_is_above(t, bytes + growth),
			     0))
		error = make_room(t, old == NULL ? d : NULL, bytes, keep);
	if (error != 0)
		return error;
	if (old == NULL) {
		error = reserve_slot(t, d, keep);
		keyspace_account_table(t, d);
		if (error != 0)
			return error;
	}
	return fill_draft(t, key, len, flags, deadline, keep, out);
}

size_t keyspace_draft_size(const struct key *key, size_t len, unsigned flags, int64_t deadline) {
	return entry_header_size(draft_flags(key, len, flags, deadline)) + key->name.len + len;
}

int keyspace_draft_in_room(struct tenant *t, const struct key *key, size_t len, unsigned flags, int64_t deadline,
			   ref keep, struct draft *out) {
	return fill_draft(t, key, len, draft_flags(key, len, flags, deadline), deadline, keep, out);
}

void keyspace_seal(struct draft *draft) {
	uint8_t check = check_of(draft->entry, draft->owner, draft->size);
	draft->entry->sizes |= entry_sizes_check(check);
	draft->owner |= entry_owner_check(check);
}

void keyspace_publish(struct tenant *t, struct database *d, const struct key *key, struct entry *old,
		      const struct draft *draft) {
	struct shard *s = t->shard;
	struct arena *a = s->arena;
	struct wheel *w = &s->root->wheel;
	struct entry *e = draft->entry;
	size_t bytes = arena_block_size(draft->size);
	uint32_t owner = draft->owner;
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
		keyspace_count(t, d, key->db_slot, ttl, bytes, true);
		if (__builtin_expect(d->table.old.buckets != 0, 0))
			table_moved(t, d);
		tell(t, CHANGE_NEW, key->db_slot, key->name);
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
	bytes -= arena_block_size(size); /* may wrap: so do sums */
	d->bytes += bytes;
	counter_add(&t->counters.bytes, bytes);
	if (__builtin_expect(had_ttl != ttl, 0))
		count_expiring(t, d, key->db_slot, ttl);
	if (undo_active(s)) {
		undo_kill(s, block, size, true);
	} else {
		old->owner = 0;
		crash_point();
		pin_free_entry(s, block, size);
	}
	tell(t, CHANGE_VALUE, key->db_slot, key->name);
}

int64_t keyspace_idle(const struct tenant *t, const struct entry *e) {
	uint32_t now = t->shard->used_now >> ENTRY_USED_SHIFT, used = e->sizes >> ENTRY_USED_SHIFT;
	uint32_t ticks = (now - used) & ENTRY_USED_MAX;
	/* It was used at some time of the first of these ticks, and now is some time of the last. */
	return ticks <= 1 ? 0 : ((int64_t)(ticks - 1) << ENTRY_TICK_SHIFT) / 1000;
}

void keyspace_set_idle(struct tenant *t, struct entry *e, int64_t seconds) {
	const int64_t most = ((int64_t)ENTRY_USED_MAX << ENTRY_TICK_SHIFT) / 1000;
	int64_t ms = (seconds < most ? seconds : most) * 1000;
	entry_set_used(e, entry_used_at(shard_used_ms(t->shard) - ms));
}

/* Stores `len` bytes under `key`. */
static int store(struct tenant *t, const struct key *key, struct entry *old, const void *stored, size_t len,
		 unsigned flags, int64_t deadline) {
	deadline = keyspace_deadline_of_write(t, old, deadline);
	if (__builtin_expect(deadline != 0 && deadline <= t->shard->now_ms, 0)) {
		if (old != NULL)
			keyspace_delete(t, key, old);
		return 0;
	}
	struct database *d = keyspace_database_for_write(t, key, len, 0);
	struct draft draft;
	if (d == NULL)
		return ATOMDB_E_OOM;
	int error = keyspace_draft(t, d, key, old, len, flags, deadline, 0, &draft);
	if (error != 0)
		return error;
	memcpy(draft.value, stored, len);
	keyspace_seal(&draft);
	keyspace_publish(t, d, key, old, &draft);
	return 0;
}

int keyspace_set(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline) {
	int64_t number;
	if (value.len > sizeof number && value.len <= NUMBER_TEXT_MAX && number_parse(value, &number))
		return store(t, key, old, &number, sizeof number, ENTRY_INT, deadline);
	return store(t, key, old, value.data, value.len, 0, deadline);
}

int keyspace_set_raw(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline) {
	return store(t, key, old, value.data, value.len, ENTRY_RAW, deadline);
}

int keyspace_set_text(struct tenant *t, const struct key *key, struct entry *old, struct slice value,
		      int64_t deadline) {
	int64_t ignored;
	char tagged[1 + NUMBER_TEXT_MAX] = {ENTRY_TAG_DIGITS};
	if (!number_parse(value, &ignored))
		return store(t, key, old, value.data, value.len, 0, deadline);
	memcpy(tagged + 1, value.data, value.len);
	return store(t, key, old, tagged, 1 + value.len, ENTRY_INT | ENTRY_RAW, deadline);
}

/* Puts an integer in the place of the one at `at`, in `e`. */
static inline void put_integer(struct tenant *t, const struct key *key, struct entry *e, char *at, int64_t value) {
	struct shard *s = t->shard;
	size_t from = (size_t)(at - (char *)e);
	if (!undo_is_free(s, e))
		(void)undo_note_bytes(s, e, from, sizeof value);
	/* Of an entry without a long key all is summed up again. */
	if (entry_has(e, ENTRY_WIDE))
		check_begin(s, e, from, from + sizeof value);
	else
		check_begin_whole(s, entry_ref(s, e));
	memcpy(at, &value, sizeof value); /* one store */
	crash_point();
	check_end(s);
	lru_touch(s->arena, &t->record->lru, entry_ref(s, e));
	tell(t, CHANGE_VALUE, key->db_slot, key->name);
}

int keyspace_set_integer(struct tenant *t, const struct key *key, struct entry *old, int64_t value, int64_t deadline) {
	if (old == NULL || !entry_is_integer(old) || deadline != DEADLINE_KEEP)
		return store(t, key, old, &value, sizeof value, ENTRY_INT, deadline);
	put_integer(t, key, old, (char *)(uintptr_t)entry_stored(old).data, value);
	return 0;
}

int keyspace_add(struct tenant *t, const struct key *key, struct entry *old, int64_t amount, int64_t *sum) {
	int64_t value = 0, result;
	char *at = NULL;
	if (old != NULL && entry_is_integer(old)) {
		at = (char *)(uintptr_t)entry_stored(old).data;
		memcpy(&value, at, sizeof value);
	} else if (old != NULL && !integer_of_text(old, &value)) {
		return ATOMDB_E_SYNTAX;
	}
	if (__builtin_add_overflow(value, amount, &result))
		return ATOMDB_E_RANGE;
	int error = 0;
	if (at != NULL)
		put_integer(t, key, old, at, result);
	else
		error = store(t, key, old, &result, sizeof result, ENTRY_INT,
			      old == NULL ? DEADLINE_NONE : DEADLINE_KEEP);
	if (error == 0)
		*sum = result;
	return error;
}

/* Notes what is going to be written over in a value; false where there is no room for that. */
static bool note_value(struct tenant *t, struct entry *e, size_t length, struct span span) {
	struct shard *s = t->shard;
	struct slice stored = entry_stored(e);
	size_t end = length < stored.len ? length : stored.len;
	end = span.len < end && span.at < end - span.len ? span.at + span.len : end;
	size_t noted = span.at < end ? end - span.at : 0;
	if (noted > UNDO_INLINE && undo_keeps(s, e) && quota_has_to_fit(t, arena_block_size(noted)) &&
	    quota_make_room(t, arena_block_size(noted), entry_ref(s, e)) != 0)
		return false;
	if (!undo_note_bytes(s, e, (size_t)(stored.data - (char *)e) + span.at, noted))
		return false;
	undo_note_header(s, e);
	return true;
}

/* Opens the change of a value to `length` bytes, of which those of the span are going to be written. */
static void check_begin_value(struct shard *s, struct entry *e, size_t length, struct span span) {
	struct slice stored = entry_stored(e);
	size_t at = (size_t)(stored.data - (char *)e), least = length < stored.len ? length : stored.len;
	size_t from = span.at, to = span.len < length && span.at < length - span.len ? span.at + span.len : length;
	if (length != stored.len) {
		from = from < least ? from : least;
		to = length > stored.len ? length : stored.len;
	}
	check_begin(s, e, at + from, at + to);
}

/* Grows or shrinks a value within its block; false where it needs another one. */
static bool resize_in_place(struct tenant *t, struct entry *e, size_t length, struct span span, char **bytes) {
	struct slice stored = entry_stored(e);
	size_t size = entry_size(e) - stored.len + length;
	if (entry_has(e, ENTRY_INT) || arena_block_size(size) != arena_block_size(entry_size(e)) ||
	    (!entry_has(e, ENTRY_WIDE) && length > ENTRY_NARROW_VALUE))
		return false;
	if (entry_size(e) >= PIN_MIN && pin_has(t->shard, entry_ref(t->shard, e)))
		return false;
	lru_touch(t->shard->arena, &t->record->lru, entry_ref(t->shard, e));
	if (!undo_is_free(t->shard, e) && !note_value(t, e, length, span))
		return false;
	check_begin_value(t->shard, e, length, span);
	if (entry_has(e, ENTRY_WIDE))
		entry_wide(e)->value_len = (uint32_t)length;
	else
		e->sizes = (e->sizes & ~(ENTRY_NARROW_VALUE << ENTRY_VALUE_SHIFT)) | (uint32_t)length
											     << ENTRY_VALUE_SHIFT;
	e->owner |= (uint32_t)ENTRY_RAW << 24;
	*bytes = (char *)(uintptr_t)stored.data;
	if (length > stored.len)
		memset(*bytes + stored.len, 0, length - stored.len);
	return true;
}

static int resize(struct tenant *t, const struct key *key, struct entry *old, size_t length, struct span span,
		  char **bytes) {
	if (old != NULL && resize_in_place(t, old, length, span, bytes)) {
		tell(t, CHANGE_VALUE, key->db_slot, key->name);
		return 0;
	}
	struct database *d = keyspace_database_for_write(t, key, length, 0);
	struct draft draft;
	if (d == NULL)
		return ATOMDB_E_OOM;
	int error = keyspace_draft(t, d, key, old, length, ENTRY_RAW, keyspace_deadline_of_write(t, old, DEADLINE_KEEP),
				   0, &draft);
	if (error != 0)
		return error;
	size_t kept = 0;
	if (old != NULL) {
		char text[KEYSPACE_TEXT];
		struct slice value = keyspace_value(old, text);
		kept = value.len < length ? value.len : length;
		memcpy(draft.value, value.data, kept);
	}
	memset(draft.value + kept, 0, length - kept);
	check_begin_whole(t->shard, draft.block);
	keyspace_publish(t, d, key, old, &draft);
	*bytes = draft.value;
	return 0;
}

int keyspace_resize(struct tenant *t, const struct key *key, struct entry *old, size_t length, struct span span,
		    char **bytes) {
	keyspace_begin(t->shard);
	int error = resize(t, key, old, length, span, bytes);
	if (error != 0)
		keyspace_commit(t->shard);
	return error;
}

bool keyspace_patch(struct tenant *t, const struct key *key, struct entry *e, struct span span, char **bytes) {
	struct shard *s = t->shard;
	assert(span.len <= UNDO_INLINE);
	keyspace_begin(s);
	if (!resize_in_place(t, e, entry_stored(e).len, span, bytes)) {
		keyspace_commit(s);
		return false;
	}
	tell(t, CHANGE_VALUE, key->db_slot, key->name);
	return true;
}

int keyspace_make_raw(struct tenant *t, const struct key *key, struct entry *e) {
	if (!entry_has(e, ENTRY_INT)) {
		if (!undo_is_free(t->shard, e))
			undo_note_header(t->shard, e);
		check_begin(t->shard, e, 0, 0);
		e->owner |= (uint32_t)ENTRY_RAW << 24;
		check_end(t->shard);
		return 0;
	}
	struct database *d = tenant_database(t, key->db_slot);
	char text[KEYSPACE_TEXT];
	struct slice value = keyspace_value(e, text);
	struct draft draft;
	int error = keyspace_draft(t, d, key, e, value.len, ENTRY_RAW, entry_deadline(e), 0, &draft);
	if (error != 0)
		return error;
	memcpy(draft.value, value.data, value.len);
	keyspace_seal(&draft);
	change_watcher watcher = t->watcher;
	t->watcher = NULL;
	keyspace_publish(t, d, key, e, &draft);
	t->watcher = watcher;
	return 0;
}

int keyspace_expire(struct tenant *t, const struct key *key, struct entry *e, int64_t deadline) {
	struct shard *s = t->shard;
	int64_t max = t->limits.max_ttl;
	if (max != 0 && (deadline == DEADLINE_NONE || deadline - s->now_ms > max))
		deadline = s->now_ms + max;
	if (deadline != DEADLINE_NONE && deadline <= s->now_ms) {
		keyspace_delete(t, key, e);
		return 0;
	}
	if (entry_has(e, ENTRY_TTL) == (deadline != DEADLINE_NONE)) {
		ref block = entry_ref(s, e);
		tell(t, CHANGE_VALUE, key->db_slot, key->name);
		if (deadline == entry_deadline(e))
			return 0;
		wheel_remove(s->arena, &s->root->wheel, block);
		if (!undo_is_free(s, e))
			(void)undo_note_bytes(s, e, sizeof *e, sizeof deadline);
		check_begin(s, e, 0, 0);
		entry_ttl(e)->deadline = deadline; /* one store */
		crash_point();
		check_end(s);
		wheel_add(s->arena, &s->root->wheel, block);
		return 0;
	}
	struct database *d = tenant_database(t, key->db_slot);
	struct slice stored = entry_stored(e);
	struct draft draft;
	int error =
		keyspace_draft(t, d, key, e, stored.len, entry_flags(e) & (ENTRY_INT | ENTRY_RAW), deadline, 0, &draft);
	if (error != 0)
		return error;
	memcpy(draft.value, stored.data, stored.len);
	keyspace_seal(&draft);
	keyspace_publish(t, d, key, e, &draft);
	return 0;
}

void keyspace_delete(struct tenant *t, const struct key *key, struct entry *e) {
	entry_delete(t, tenant_database(t, key->db_slot), key->hash, entry_ref(t->shard, e), CHANGE_REMOVED);
}
