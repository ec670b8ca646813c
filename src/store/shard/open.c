/* How a shard and its tenants come and go, and how they outlive the process. */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "atomdb/store/shard.h"
#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/drop.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/record.h"

/* ---- the shard ---- */

static uint64_t seed_sum(const struct hash_seed *seed) {
	return hash_bytes(seed, "AtomDB", 6);
}

static int make_root(struct shard *s) {
	ref block = arena_root(s->arena, sizeof *s->root);
	if (block == 0)
		return ATOMDB_E_OOM;
	s->root = arena_at(s->arena, block);
	int error = hash_seed_random(&s->root->seed);
	s->root->seed_sum = seed_sum(&s->root->seed);
	s->context = (struct table_context){s->arena, s->root->seed};
	return error;
}

/* The directory of an arena that was taken over: whether it can be one. */
static bool find_directory(struct shard *s) {
	size_t size;
	s->slots = (uint32_t)(s->root->directory >> 32);
	if (s->slots == 0)
		return true;
	return s->slots <= 2 * ENTRY_TENANT_MAX &&
	       arena_find_block(s->arena, (ref)s->root->directory, ARENA_OTHER, &size) &&
	       size / sizeof(struct tenant_slot) >= s->slots;
}

/* What the tenants of a saved arena hold. */
static int count_entries(struct shard *s) {
	size_t size;
	for (uint32_t i = 1; i < s->slots; i++) {
		ref block = shard_directory(s)[i].record;
		if (block == 0)
			continue;
		if (!arena_find_block(s->arena, block, ARENA_OTHER, &size) || size < TENANT_RECORD_LEAST)
			return ATOMDB_E_FORMAT;
		const struct tenant_record *record = arena_at(s->arena, block);
		for (unsigned d = 0; d < TENANT_DATABASES; d++)
			if (record->databases[d] != 0)
				s->recovery.entries += table_count(&database_at(s, record->databases[d])->table);
	}
	s->recovery.bytes = counter_get(&arena_counters(s->arena)->used_by_kind[ARENA_ENTRY]);
	return 0;
}

/* Gives each record the size that it has in this release. */
static int fit_records(struct shard *s) {
	size_t size, fits = arena_block_size(sizeof(struct tenant_record));
	for (uint32_t i = 1; i < s->slots; i++) {
		struct tenant_slot *slot = &shard_directory(s)[i];
		ref old = slot->record;
		if (old == 0 || !arena_find_block(s->arena, old, ARENA_OTHER, &size) || size == fits)
			continue;
		ref block = arena_alloc_zero(s->arena, sizeof(struct tenant_record), ARENA_OTHER);
		if (block == 0)
			return ATOMDB_E_OOM;
		memcpy(arena_at(s->arena, block), arena_at(s->arena, old), size < fits ? size : fits);
		crash_point();
		slot->record = block;
		crash_point();
		arena_free(s->arena, old, size, ARENA_OTHER);
	}
	return 0;
}

static int take_over(struct shard *s, const struct shard_options *options) {
	bool clean;
	int error = arena_adopt(&s->arena, options->fd, &clean);
	if (error != 0)
		return error;
	s->now_ms = options->now_ms > 0 ? options->now_ms : 0;
	s->progress = options->progress;
	ref root = arena_find_root(s->arena, SHARD_ROOT_LEAST, sizeof *s->root);
	if (root == 0)
		return ATOMDB_E_FORMAT;
	s->root = arena_at(s->arena, root);
	if (s->root->seed_sum != seed_sum(&s->root->seed))
		return ATOMDB_E_SEED;
	s->context = (struct table_context){s->arena, s->root->seed};
	if (!find_directory(s))
		return ATOMDB_E_FORMAT;
	s->tenants = s->slots != 0 ? calloc(s->slots, sizeof(struct tenant *)) : NULL;
	if (s->slots != 0 && s->tenants == NULL)
		return -ENOMEM;
	arena_fit_root(s->arena, sizeof *s->root);
	s->recovery.kind = clean ? RECOVERY_CLEAN : RECOVERY_CRASHED;
	if (clean) {
		s->counters.retired = s->root->retired;
		error = count_entries(s);
		if (error == 0)
			error = pins_take_over(s);
	} else {
		error = shard_recover(s);
	}
	if (error != 0)
		return error;
	arena_unsave(s->arena);
	error = fit_records(s);
	if (error != 0)
		return error;
	arena_set_budget(s->arena, options->budget);
	return 0;
}

static uint64_t nanoseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int shard_new(struct shard **out, const struct shard_options *options) {
	uint64_t start = nanoseconds();
	struct shard *s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	list_init(&s->over);
	list_init(&s->pins);
	s->id = options->id;
	s->worker = options->worker;
	s->skew_ms = INT64_MAX / 2; /* none: the first reading of the clock is a step */
	char name[32];
	snprintf(name, sizeof name, "atomdb-shard-%u", options->id);
	int error;
	if (options->fd > 0) {
		error = take_over(s, options);
		if (error != 0 && s->arena != NULL)
			arena_disown(s->arena);
	} else {
		error = arena_open(&s->arena, name, options->budget);
		if (error == 0)
			error = make_root(s);
	}
	if (error != 0) {
		shard_free(s);
		return error;
	}
	fair_share_end(s);
	s->recovery.duration_ns = nanoseconds() - start;
	*out = s;
	return 0;
}

void shard_free(struct shard *s) {
	if (s == NULL)
		return;
	pins_free(s);
	arena_close(s->arena);
	free(s->tenants);
	free(s);
}

int shard_fd(const struct shard *s) {
	return arena_fd(s->arena);
}

const struct shard_recovery *shard_recovery(const struct shard *s) {
	return &s->recovery;
}

void shard_resume(struct shard *s, bool on) {
	s->resumes = on;
}

bool shard_resumes(const struct shard *s) {
	return s->resumes;
}

void shard_secret_key(const struct shard *s, const char *purpose, uint8_t key[SHARD_KEY]) {
	crypto_generichash(key, SHARD_KEY, (const unsigned char *)purpose, strlen(purpose),
			   (const unsigned char *)&s->root->seed, sizeof s->root->seed);
}

/* ---- counters ---- */

static void add_kept(struct retired_counters *r, const struct tenant_counters *f) {
	counter_add(&r->commands, counter_get(&f->commands));
	counter_add(&r->hits, counter_get(&f->hits));
	counter_add(&r->misses, counter_get(&f->misses));
	counter_add(&r->evictions, counter_get(&f->evictions));
	counter_add(&r->expirations, counter_get(&f->expirations));
	counter_add(&r->throttled, counter_get(&f->throttled));
	counter_add(&r->input_bytes, counter_get(&f->input_bytes));
	counter_add(&r->output_bytes, counter_get(&f->output_bytes));
}

static void bring_back_counters(struct tenant_counters *f, const struct retired_counters *r) {
	counter_add(&f->commands, counter_get(&r->commands));
	counter_add(&f->hits, counter_get(&r->hits));
	counter_add(&f->misses, counter_get(&r->misses));
	counter_add(&f->evictions, counter_get(&r->evictions));
	counter_add(&f->expirations, counter_get(&r->expirations));
	counter_add(&f->throttled, counter_get(&r->throttled));
	counter_add(&f->input_bytes, counter_get(&r->input_bytes));
	counter_add(&f->output_bytes, counter_get(&r->output_bytes));
}

int shard_save(struct shard *s) {
	assert(s->undo_depth == 0);
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant *t = s->tenants[i];
		if (t == NULL)
			continue;
		t->record->kept = (struct retired_counters){0};
		add_kept(&t->record->kept, &t->counters);
	}
	s->root->retired = s->counters.retired;
	pins_save(s);
	return arena_save(s->arena);
}

/* ---- tenants ---- */

void shard_set_defaults(struct shard *s, const struct tenant_limits *limits) {
	s->defaults = *limits;
	for (uint32_t i = 0; i < s->slots; i++) {
		struct tenant *t = s->tenants[i];
		if (t != NULL && !tenant_listed(t) && !tenant_orphaned(t))
			tenant_set_limits(t, limits, s->now_ns);
	}
}

/* A larger directory, published by one store. */
static int grow_directory(struct shard *s) {
	uint32_t grown = s->slots == 0 ? 16 : s->slots * 2;
	if (grown > ENTRY_TENANT_MAX)
		return ATOMDB_E_FULL;
	struct tenant **tenants = realloc(s->tenants, grown * sizeof *tenants);
	if (tenants == NULL)
		return -ENOMEM;
	s->tenants = tenants;
	memset(tenants + s->slots, 0, (grown - s->slots) * sizeof *tenants);
	ref block = fair_share_alloc_zero(s, grown * sizeof(struct tenant_slot));
	if (block == 0)
		return ATOMDB_E_OOM;
	ref old = (ref)s->root->directory;
	if (old != 0)
		memcpy(arena_at(s->arena, block), shard_directory(s), s->slots * sizeof(struct tenant_slot));
	crash_point();
	s->root->directory = block | (uint64_t)grown << 32;
	crash_point();
	if (old != 0)
		arena_free(s->arena, old, s->slots * sizeof(struct tenant_slot), ARENA_OTHER);
	s->slots = grown;
	return 0;
}

/* A slot that no tenant and no entry uses; slot 0 is not one, since an entry's owner must not be 0. */
static int slot_find(struct shard *s, uint32_t *slot) {
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant_slot *d = &shard_directory(s)[i];
		if (d->record == 0 && d->dropped == 0) {
			*slot = i;
			return 0;
		}
	}
	uint32_t before = s->slots;
	int error = grow_directory(s);
	if (error == 0)
		*slot = before == 0 ? 1 : before;
	return error;
}

void tenant_read_order(struct tenant_record *record) {
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		record->db_slots[i] = record->order >> 4 * i & 15;
		record->numbers[record->db_slots[i]] = (uint8_t)i;
	}
}

static uint64_t name_sum(const struct tenant_identity *i) {
	return i->name[0] == '\0' ? 0 : crc64(0, (struct slice){i->name, sizeof i->name});
}

static void fill_identity(struct tenant_record *record, const struct tenant_identity *i) {
	record->identity = *i;
	record->digest_sum = crc64(0, (struct slice){(const char *)i->digest, sizeof i->digest});
	record->name_sum = name_sum(i);
}

/* A crash leaves one record or the other, for a damaged identity costs the tenant all that it has. Without memory the
 * old one stays. */
void tenant_write_identity(struct tenant *t) {
	const struct tenant_identity *now = tenant_identity(t);
	struct shard *s = t->shard;
	if (memcmp(&t->record->identity, now, sizeof *now) == 0 && t->record->name_sum == name_sum(now))
		return;
	ref block = arena_alloc_zero(s->arena, sizeof *t->record, ARENA_OTHER);
	if (block == 0)
		return;
	ref old = shard_directory(s)[t->slot].record;
	struct tenant_record *record = arena_at(s->arena, block);
	*record = *t->record;
	fill_identity(record, now);
	crash_point();
	shard_directory(s)[t->slot].record = block;
	crash_point();
	t->record = record;
	arena_free(s->arena, old, sizeof *record, ARENA_OTHER);
}

static void place_tenant(struct shard *s, uint32_t slot, struct tenant *t) {
	t->slot = slot;
	s->tenants[slot] = t;
	counter_add(&t->counters.bytes, arena_block_size(sizeof *t->record));
	counter_add(&s->counters.tenants, 1);
}

int shard_open_tenant(struct shard *s, struct tenant *t) {
	if (t->record != NULL)
		return 0;
	uint32_t slot;
	if (slot_find(s, &slot) != 0)
		return ATOMDB_E_OOM;
	ref block = fair_share_alloc_zero(s, sizeof *t->record);
	if (block == 0)
		return ATOMDB_E_OOM;
	t->record = arena_at(s->arena, block);
	t->record->order = TENANT_ORDER;
	tenant_read_order(t->record);
	fill_identity(t->record, tenant_identity(t));
	crash_point();
	shard_directory(s)[slot].record = block;
	crash_point();
	place_tenant(s, slot, t);
	tenant_set_limits(t, tenant_listed(t) ? &t->limits : &s->defaults, s->now_ns);
	return 0;
}

void shard_each_tenant(struct shard *s,
		       void (*visit)(void *context, uint32_t slot, const struct tenant_identity *identity),
		       void *context) {
	for (uint32_t i = 1; i < s->slots; i++) {
		ref record = shard_directory(s)[i].record;
		if (record != 0 && s->tenants[i] == NULL)
			visit(context, i, &((const struct tenant_record *)arena_at(s->arena, record))->identity);
	}
}

void shard_adopt_tenant(struct shard *s, uint32_t slot, struct tenant *t) {
	t->record = arena_at(s->arena, shard_directory(s)[slot].record);
	for (unsigned db_slot = 0; db_slot < TENANT_DATABASES; db_slot++) {
		const struct database *d = tenant_database(t, db_slot);
		unsigned number = t->record->numbers[db_slot];
		if (d == NULL)
			continue;
		uint64_t keys = table_count(&d->table);
		counter_add(&t->counters.bytes, d->bytes);
		counter_add(&t->counters.keys, keys);
		counter_add(&t->counters.keys_expiring, d->expiring);
		counter_set(&t->counters.db_keys[number], keys);
		counter_set(&t->counters.db_expiring[number], d->expiring);
		counter_add(&s->counters.keys, keys);
	}
	bring_back_counters(&t->counters, &t->record->kept);
	place_tenant(s, slot, t);
	drop_charge(t);
}

void shard_close_tenant(struct shard *s, struct tenant *t) {
	add_kept(&s->counters.retired, &t->counters);
	list_remove(&t->over);
	if (s->fair_share.furthest == t)
		s->fair_share.furthest = NULL;
	if (t->forget != NULL)
		t->forget(t);
	if (t->record == NULL)
		return;
	struct tenant_slot *slot = &shard_directory(s)[t->slot];
	ref block = slot->record;
	slot->record = 0;
	crash_point();
	keyspace_flush(t, TENANT_DATABASES);
	counter_sub(&t->counters.bytes, t->dying);
	t->dying = 0;
	arena_free(s->arena, block, sizeof *t->record, ARENA_OTHER);
	counter_sub(&t->counters.bytes, arena_block_size(sizeof *t->record));
	assert(counter_get(&t->counters.bytes) == 0 && counter_get(&t->counters.keys) == 0);
	t->record = NULL;
	s->tenants[t->slot] = NULL;
	counter_sub(&s->counters.tenants, 1);
}
