#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/error.h"
#include "harness.h"
#include "store/index/table.h"
#include "store/keyspace/entry.h"
#include "store/random.h"

/* Replaces the hash function of the table, so that a test can make hashes collide: keeps the bits in `seed->k0`, sets
 * the bits in `seed->k1`. */
uint64_t hash_bytes(const struct hash_seed *seed, const void *bytes, size_t len) {
	const unsigned char *p = bytes;
	uint64_t h = 0;

	for (size_t i = 0; i < len; i++)
		h = h * 131 + p[i];
	return (random_next(&h) & seed->k0) | seed->k1;
}

struct fixture {
	struct table_context c;
	struct table t;
	unsigned keys; /* keys that may be in the table */
	ref *entries;  /* of the keys, whether in the table or not */
	ref *spares;   /* a second entry of each key, for table_replace */
	bool *in;
	unsigned count; /* in the table */
};

static ref new_entry(struct fixture *f, unsigned number) {
	char text[16];
	int len = snprintf(text, sizeof text, "key:%u", number);
	ref at = arena_alloc_zero(f->c.arena, sizeof(struct entry) + (size_t)len, ARENA_ENTRY);

	assert_int_not_equal(at, 0);
	struct entry *e = arena_at(f->c.arena, at);
	e->owner = entry_owner(1, 0, 0);
	e->sizes = (uint32_t)len;
	memcpy(e + 1, text, (size_t)len);
	return at;
}

static struct fixture open_table(unsigned keys, uint64_t hash_keep, uint64_t hash_set, struct memory_budget *budget) {
	struct fixture f = {.c.seed = {hash_keep, hash_set}, .keys = keys};

	f.entries = calloc(keys, sizeof *f.entries);
	f.spares = calloc(keys, sizeof *f.spares);
	f.in = calloc(keys, sizeof *f.in);
	assert_true(f.entries != NULL && f.spares != NULL && f.in != NULL);
	assert_int_equal(arena_open(&f.c.arena, "test", budget), 0);
	for (unsigned i = 0; i < keys; i++) {
		f.entries[i] = new_entry(&f, i);
		f.spares[i] = new_entry(&f, i);
	}
	return f;
}

static void close_table(struct fixture *f) {
	arena_close(f->c.arena);
	free(f->entries);
	free(f->spares);
	free(f->in);
}

static struct slice key_of(const struct fixture *f, unsigned i) {
	return entry_key(arena_at(f->c.arena, f->entries[i]));
}

static uint64_t hash_of(const struct fixture *f, unsigned i) {
	struct slice key = key_of(f, i);

	return hash_bytes(&f->c.seed, key.data, key.len);
}

/* Runs the steps of a prefetch, which change nothing. */
static void fetch(const struct fixture *f, unsigned i) {
	const void *bucket = table_fetch_bucket(&f->c, &f->t, hash_of(f, i));
	const struct block *b = bucket == NULL ? NULL : table_fetch_entry(&f->c, bucket, hash_of(f, i));

	if (b != NULL)
		table_fetch_links(&f->c, b);
	if (f->in[i] && f->t.old.buckets == 0)
		assert_true(bucket != NULL);
}

static uint64_t table_bytes(const struct fixture *f) {
	return counter_get(&arena_counters(f->c.arena)->used_by_kind[ARENA_OTHER]);
}

static void add(struct fixture *f, unsigned i) {
	bool resizing = f->t.old.buckets != 0;
	size_t before = table_memory(&f->t), growth = table_growth(&f->t);

	assert_int_equal(table_reserve(&f->c, &f->t), 0);
	if (!resizing && growth == 0)
		assert_int_equal(table_memory(&f->t), before);
	else if (!resizing)
		assert_int_equal(table_memory(&f->t), before + growth);
	table_add(&f->c, &f->t, hash_of(f, i), f->entries[i]);
	f->in[i] = true;
	f->count++;
}

static void take_out(struct fixture *f, unsigned i) {
	assert_true(table_remove(&f->c, &f->t, hash_of(f, i), f->entries[i]));
	f->in[i] = false;
	f->count--;
}

static void find(const struct fixture *f, unsigned i) {
	ref found = table_find(&f->c, &f->t, hash_of(f, i), key_of(f, i));

	if (found != (f->in[i] ? f->entries[i] : 0))
		fail_msg("key %u: found %u, should be %u", i, found, f->in[i] ? f->entries[i] : 0);
}

struct seen {
	const struct fixture *f;
	unsigned *times; /* per key */
	unsigned count;
};

static void see(void *context, ref entry) {
	struct seen *s = context;
	struct slice key = entry_key(arena_at(s->f->c.arena, entry));
	unsigned i = (unsigned)strtoul(key.data + 4, NULL, 10);

	assert_true(key.len > 4 && i < s->f->keys);
	assert_true(s->f->in[i] && s->f->entries[i] == entry);
	s->times[i]++;
	s->count++;
}

static void scan_all(const struct fixture *f) {
	struct seen s = {f, calloc(f->keys, sizeof *s.times), 0};
	uint64_t cursor = 0;

	assert_non_null(s.times);
	do
		cursor = table_scan(&f->c, &f->t, cursor, see, &s);
	while (cursor != 0);
	assert_int_equal(s.count, f->count);
	for (unsigned i = 0; i < f->keys; i++)
		assert_int_equal(s.times[i], f->in[i]);
	free(s.times);
}

static void check(const struct fixture *f) {
	for (unsigned i = 0; i < f->keys; i++)
		find(f, i);
	scan_all(f);
	assert_int_equal(table_count(&f->t), f->count);
	assert_int_equal(table_memory(&f->t), table_bytes(f));
}

static void random_change(struct fixture *f, uint64_t *seed, bool growing) {
	unsigned i = (unsigned)(random_next(seed) % f->keys);

	find(f, i);
	if (!f->in[i]) {
		assert_false(table_remove(&f->c, &f->t, hash_of(f, i), f->entries[i]));
		if (growing || random_next(seed) % 64 == 0)
			add(f, i);
	} else if (random_next(seed) % 4 == 0) {
		assert_false(table_replace(&f->c, &f->t, hash_of(f, i), f->spares[i], f->entries[i]));
		assert_true(table_replace(&f->c, &f->t, hash_of(f, i), f->entries[i], f->spares[i]));
		ref e = f->entries[i];
		f->entries[i] = f->spares[i];
		f->spares[i] = e;
	} else if (!growing || random_next(seed) % 8 == 0) {
		assert_false(table_remove(&f->c, &f->t, hash_of(f, i), f->spares[i]));
		take_out(f, i);
	}
	if (random_next(seed) % 4 != 0)
		(void)table_step(&f->c, &f->t, 1 + (unsigned)(random_next(seed) % 3));
	fetch(f, i);
	find(f, i);
}

static void run_random(unsigned keys, unsigned steps, uint64_t hash_keep, uint64_t hash_set) {
	uint64_t seed = random_seed();
	struct fixture f = open_table(keys, hash_keep, hash_set, NULL);
	unsigned grown = 0, shrunk = 0;

	for (unsigned step = 0; step < steps; step++) {
		uint32_t bits = f.t.now.bits;

		random_change(&f, &seed, step % (8 * keys) < 4 * keys);
		grown += f.t.now.bits > bits;
		shrunk += f.t.now.bits < bits;
		if (step % (steps / 40) == 0)
			check(&f);
	}
	check(&f);
	for (unsigned i = 0; i < keys; i++)
		if (f.in[i])
			take_out(&f, i);
	while (table_step(&f.c, &f.t, 10))
		;
	check(&f);
	assert_int_equal(f.t.now.bits, 0);
	assert_true(grown > 2 && shrunk > 0);
	close_table(&f);
}

static void test_a_large_table_holds_what_a_model_holds(void **state) {
	(void)state;
	run_random(20000, 800000, UINT64_MAX, 0);
}

static void test_a_small_table_holds_what_a_model_holds(void **state) {
	(void)state;
	run_random(60, 200000, UINT64_MAX, 0);
}

static void test_keys_with_one_tag_are_told_apart(void **state) {
	(void)state;
	run_random(3000, 100000, UINT64_MAX >> 8, 0);
}

static void test_keys_with_few_home_buckets_are_found(void **state) {
	(void)state;
	/* The home buckets are at the end of the table, so that probing wraps around. */
	run_random(1000, 50000, ~(uint64_t)0xffffff, 0xfffff0);
}

/* More entries have one hash than the overflow count of a bucket can hold. */
static void test_keys_with_one_hash_are_found(void **state) {
	(void)state;
	enum { KEYS = 5000 };
	struct fixture f = open_table(KEYS, 0, 0x1234567890abcdef, NULL);

	for (unsigned i = 0; i < KEYS; i++) {
		add(&f, i);
		(void)table_step(&f.c, &f.t, 2);
	}
	check(&f);
	for (unsigned i = 0; i < KEYS; i += 2)
		take_out(&f, i);
	check(&f);
	for (unsigned i = 0; i < KEYS; i += 2)
		add(&f, i);
	check(&f);
	for (unsigned i = KEYS; i-- > 0;) {
		take_out(&f, i);
		(void)table_step(&f.c, &f.t, 2);
	}
	check(&f);
	close_table(&f);
}

static void test_an_empty_table_has_no_entries(void **state) {
	(void)state;
	struct fixture f = open_table(1, UINT64_MAX, 0, NULL);
	uint64_t cursor = 0;

	find(&f, 0);
	assert_int_equal(table_count(&f.t), 0);
	assert_int_equal(table_memory(&f.t), 0);
	assert_int_equal(table_growth(&f.t), 64);
	assert_int_equal(table_scan(&f.c, &f.t, 0, see, NULL), 0);
	assert_int_equal(table_scan(&f.c, &f.t, 12345, see, NULL), 0);
	assert_int_equal(table_random(&f.c, &f.t, 1), 0);
	assert_false(table_step(&f.c, &f.t, 2));
	assert_false(table_remove(&f.c, &f.t, 1, f.entries[0]));
	assert_false(table_replace(&f.c, &f.t, 1, f.entries[0], f.spares[0]));
	assert_null(table_fetch_bucket(&f.c, &f.t, 1));
	assert_false(table_drain(&f.c, &f.t, &cursor, 10, see, NULL));
	close_table(&f);
}

/* The block of an entry to prefetch may have other contents by then. */
static void test_a_prefetch_accepts_any_bytes(void **state) {
	(void)state;
	struct fixture f = open_table(1, UINT64_MAX, 0, NULL);
	struct entry *e = arena_at(f.c.arena, f.entries[0]);

	add(&f, 0);
	const void *bucket = table_fetch_bucket(&f.c, &f.t, hash_of(&f, 0));
	assert_ptr_equal(table_fetch_entry(&f.c, bucket, hash_of(&f, 0)), e);
	assert_null(table_fetch_entry(&f.c, bucket, ~hash_of(&f, 0)));
	for (int byte = 0; byte < 256; byte++) {
		struct entry was = *e;

		memset(e, byte, sizeof *e);
		table_fetch_links(&f.c, entry_block(e));
		*e = was;
	}

	/* AddressSanitizer reports a read of a freed block if another block of its slab is in use. */
	ref gone = arena_alloc(f.c.arena, 1024, ARENA_OTHER);
	assert_int_not_equal(arena_alloc(f.c.arena, 1024, ARENA_OTHER), 0);
	char *middle = (char *)arena_at(f.c.arena, gone) + 512;
	arena_free(f.c.arena, gone, 1024, ARENA_OTHER);
	table_fetch_links(&f.c, (const struct block *)(const void *)middle);
	close_table(&f);
}

/* A prefetched bucket has any contents once its array is freed, and no memory once its pages are. */
static void test_the_generation_changes_before_a_prefetched_bucket_is_freed(void **state) {
	(void)state;
	struct fixture f = open_table(100, UINT64_MAX, 0, NULL);

	add(&f, 0);
	uint32_t generation = arena_generation(f.c.arena);
	for (unsigned i = 1; i < 10; i++)
		add(&f, i);
	assert_int_equal(arena_generation(f.c.arena), generation);
	for (unsigned i = 10; i < 100; i++)
		add(&f, i);
	assert_int_not_equal(arena_generation(f.c.arena), generation);

	ref pages = arena_alloc(f.c.arena, 100000, ARENA_ENTRY);
	assert_int_not_equal(pages, 0);
	generation = arena_generation(f.c.arena);
	arena_free(f.c.arena, pages, 100000, ARENA_ENTRY);
	assert_int_not_equal(arena_generation(f.c.arena), generation);
	close_table(&f);
}

/* A scan visits every entry that is in the table from its start to its end, whatever changes meanwhile. */
static void test_a_scan_visits_every_entry_that_stays(void **state) {
	(void)state;
	enum { KEYS = 20000, STABLE = 300, ROUNDS = 150 };
	uint64_t seed = random_seed();
	struct fixture f = open_table(KEYS, UINT64_MAX, 0, NULL);
	unsigned *times = calloc(KEYS, sizeof *times), most = 0, resizes = 0;

	assert_non_null(times);
	for (unsigned i = 0; i < STABLE; i++)
		add(&f, i);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct seen s = {&f, times, 0};
		uint64_t cursor = 0;
		unsigned calls = 0, burst = 1u << random_next(&seed) % 10;
		bool growing = random_next(&seed) % 2;

		memset(times, 0, KEYS * sizeof *times);
		do {
			cursor = table_scan(&f.c, &f.t, cursor, see, &s);
			uint32_t bits = f.t.now.bits;
			for (unsigned n = 0; n < burst; n++) {
				unsigned i = STABLE + (unsigned)(random_next(&seed) % (KEYS - STABLE));

				if (f.in[i] && !growing)
					take_out(&f, i);
				else if (!f.in[i] && growing)
					add(&f, i);
				(void)table_step(&f.c, &f.t, (unsigned)(random_next(&seed) % 3));
			}
			resizes += f.t.now.bits != bits;
			if (f.count > KEYS * 9 / 10)
				growing = false;
			else if (f.count < STABLE * 2)
				growing = true;
			assert_true(++calls < 10 * KEYS);
		} while (cursor != 0);
		for (unsigned i = 0; i < STABLE; i++)
			if (times[i] == 0)
				fail_msg("round %u: key %u was not seen", round, i);
		for (unsigned i = 0; i < KEYS; i++)
			most = times[i] > most ? times[i] : most;
	}
	assert_true(resizes > 20);
	assert_true(most < 1000);
	check(&f);
	free(times);
	close_table(&f);
}

static void test_a_table_without_memory_keeps_its_last_slots_free(void **state) {
	(void)state;
	enum { KEYS = 12000, SLOTS = 12 << 9 };
	struct memory_budget budget = {0};
	struct fixture f = open_table(KEYS, UINT64_MAX, 0, &budget);
	unsigned i = 0;

	while (f.t.now.bits < 9 || f.t.old.buckets != 0)
		add(&f, i++);
	while (arena_trim(f.c.arena, SIZE_MAX, true))
		;
	atomic_store(&budget.limit, atomic_load(&budget.used));
	/* The table cannot grow, so it fills up. The last slots stay free. */
	while (table_reserve(&f.c, &f.t) == 0) {
		table_add(&f.c, &f.t, hash_of(&f, i), f.entries[i]);
		f.in[i++] = true;
		f.count++;
	}
	assert_int_equal(table_reserve(&f.c, &f.t), ATOMDB_E_OOM);
	assert_true(f.count > SLOTS * 9 / 10 && f.count < SLOTS);
	assert_int_equal(f.t.now.bits, 9);
	check(&f);
	take_out(&f, 7);
	assert_int_equal(table_reserve(&f.c, &f.t), 0);
	atomic_store(&budget.limit, 0);
	add(&f, 7);
	assert_int_equal(f.t.now.bits, 10);
	while (i < KEYS)
		add(&f, i++);
	check(&f);

	/* The first bucket of a new table. */
	struct table none = {0};
	uint64_t cursor = 0;
	atomic_store(&budget.limit, 1);
	while (arena_alloc(f.c.arena, 64, ARENA_OTHER) != 0)
		;
	assert_int_equal(table_reserve(&f.c, &none), ATOMDB_E_OOM);
	assert_int_equal(table_memory(&none), 0);
	assert_false(table_drain(&f.c, &none, &cursor, 1, see, NULL));
	close_table(&f);
}

/* With the one step of each reservation, growing and shrinking end in time. */
static void test_a_resize_ends_before_the_next_is_due(void **state) {
	(void)state;
	enum { KEYS = 100000 };
	struct fixture f = open_table(KEYS, UINT64_MAX, 0, NULL);

	for (unsigned low = 0; low < 3; low++) {
		for (unsigned i = f.count; i < KEYS; i++)
			add(&f, i);
		check(&f);
		while (f.count > low * 700) {
			take_out(&f, f.count - 1);
			if (!table_step(&f.c, &f.t, 1))
				continue;
			/* While the table shrinks, only additions move buckets. Adds entries until the resize ends. */
			for (unsigned n = 0; f.t.old.buckets != 0 && low == 2; n++)
				add(&f, f.count);
		}
		check(&f);
	}
	close_table(&f);
}

static void test_a_random_entry_is_drawn_evenly(void **state) {
	(void)state;
	enum { KEYS = 700, DRAWS = 200 * KEYS };
	uint64_t seed = random_seed();
	struct fixture f = open_table(KEYS, UINT64_MAX, 0, NULL);

	for (unsigned i = 0; i < KEYS; i++)
		add(&f, i);
	for (unsigned round = 0; round < 2; round++) {
		struct seen s = {&f, calloc(KEYS, sizeof *s.times), 0};

		assert_non_null(s.times);
		for (unsigned n = 0; n < DRAWS; n++)
			see(&s, table_random(&f.c, &f.t, random_next(&seed)));
		for (unsigned i = 0; i < KEYS; i++)
			if (f.in[i] && (s.times[i] < 100 || s.times[i] > 200 * (round == 0 ? 2 : KEYS / f.count + 2)))
				fail_msg("key %u was drawn %u times", i, s.times[i]);
		free(s.times);
		/* Draws again in the middle of shrinking. */
		while (f.t.old.buckets == 0) {
			take_out(&f, f.count - 1);
			(void)table_step(&f.c, &f.t, 1);
		}
	}
	while (f.count > 1)
		take_out(&f, f.count - 1);
	assert_int_equal(table_random(&f.c, &f.t, 99), f.entries[0]);
	close_table(&f);
}

static void drain(unsigned keys, unsigned left, unsigned max) {
	struct fixture f = open_table(keys, UINT64_MAX, 0, NULL);
	struct seen s = {&f, calloc(keys, sizeof *s.times), 0};
	uint64_t cursor = 0;
	unsigned before, calls = 0;
	bool more;

	assert_non_null(s.times);
	for (unsigned i = 0; i < keys; i++)
		add(&f, i);
	while (f.count > left)
		take_out(&f, f.count - 1);
	do {
		before = s.count;
		more = table_drain(&f.c, &f.t, &cursor, max, see, &s);
		assert_true(s.count - before <= max);
		assert_int_equal(table_count(&f.t), f.count - s.count);
		assert_true(++calls < 10 + keys);
	} while (more);
	assert_int_equal(s.count, left);
	for (unsigned i = 0; i < left; i++)
		assert_int_equal(s.times[i], 1);
	assert_int_equal(table_memory(&f.t), 0);
	assert_int_equal(table_bytes(&f), 0);
	/* The table is empty and can be used again. */
	memset(f.in, 0, keys * sizeof *f.in);
	f.count = 0;
	add(&f, 0);
	check(&f);
	free(s.times);
	close_table(&f);
}

static void test_a_drain_removes_every_entry_once(void **state) {
	(void)state;
	drain(1, 1, 1);
	drain(100, 100, 7);
	drain(10000, 10000, 1);
	drain(10000, 10000, 64);
	drain(10000, 1, 16);
	drain(10000, 0, 16);
	/* Drains the table in the middle of growing. */
	for (unsigned keys = 10751; keys < 10760; keys++)
		drain(keys, keys, 100);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_table_has_no_entries),
		cmocka_unit_test(test_a_prefetch_accepts_any_bytes),
		cmocka_unit_test(test_the_generation_changes_before_a_prefetched_bucket_is_freed),
		cmocka_unit_test(test_a_large_table_holds_what_a_model_holds),
		cmocka_unit_test(test_a_small_table_holds_what_a_model_holds),
		cmocka_unit_test(test_keys_with_one_tag_are_told_apart),
		cmocka_unit_test(test_keys_with_few_home_buckets_are_found),
		cmocka_unit_test(test_keys_with_one_hash_are_found),
		cmocka_unit_test(test_a_scan_visits_every_entry_that_stays),
		cmocka_unit_test(test_a_table_without_memory_keeps_its_last_slots_free),
		cmocka_unit_test(test_a_resize_ends_before_the_next_is_due),
		cmocka_unit_test(test_a_random_entry_is_drawn_evenly),
		cmocka_unit_test(test_a_drain_removes_every_entry_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
