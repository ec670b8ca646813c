/* Creates, adopts, saves and frees shards. */
#include "atomdb/store/shard_open.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "atomdb/store/shard.h"
#include "atomdb/util/error.h"
#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/record.h"
#include "store/shard/recover.h"
#include "store/value/types.h"

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

/* Sets the size of the directory of an adopted arena. Returns whether the directory is valid. */
static bool find_directory(struct shard *s) {
	size_t size;
	s->slots = (uint32_t)(s->root->directory >> 32);
	if (s->slots == 0)
		return true;
	return s->slots <= 2 * ENTRY_TENANT_MAX &&
	       arena_find_block(s->arena, (ref)s->root->directory, ARENA_OTHER, &size) &&
	       size / sizeof(struct tenant_slot) >= s->slots;
}

/* Counts the entries of a clean arena and their bytes. */
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

/* Gives each tenant's record the size that it has in this release. */
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
	s->now_ms = s->clock_ms = options->now_ms > 0 ? options->now_ms : 0;
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
	s->types = options->types != NULL ? options->types : &value_types;
	list_init(&s->catch_up);
	s->id = options->id;
	s->worker = options->worker;
	s->skew_ms = INT64_MAX / 2; /* so that the first reading of the clock sets it */
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

void shard_restore_clients(struct shard *s, bool on) {
	s->restores_clients = on;
}

bool shard_restores_clients(const struct shard *s) {
	return s->restores_clients;
}

void shard_secret_key(const struct shard *s, const char *purpose, uint8_t key[SHARD_KEY]) {
	crypto_generichash(key, SHARD_KEY, (const unsigned char *)purpose, strlen(purpose),
			   (const unsigned char *)&s->root->seed, sizeof s->root->seed);
}

int shard_save(struct shard *s) {
	assert(s->scope.depth == 0);
	if (s->marked_scopes != 0)
		return -EBUSY;
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant *t = s->tenants[i];
		if (t == NULL)
			continue;
		t->record->kept = (struct retired_counters){0};
		record_add_counters(&t->record->kept, &t->counters);
		record_unpark((struct tenant *)s->tenants[i]);
	}
	s->root->retired = s->counters.retired;
	pins_save(s);
	return arena_save(s->arena);
}
