#include <string.h>

#include "harness.h"
#include "store/index/lru.h"
#include "store/keyspace/entry.h"
#include "store/random.h"

enum { ENTRIES = 40, STEPS = 300000 };

/* The model: refs, from the most to the least recently used. */
struct model {
	ref order[ENTRIES];
	unsigned count;
};

static int model_find(const struct model *m, ref entry) {
	for (unsigned i = 0; i < m->count; i++)
		if (m->order[i] == entry)
			return (int)i;
	return -1;
}

static void model_remove(struct model *m, ref entry) {
	int at = model_find(m, entry);

	if (at < 0)
		return;
	m->count--;
	memmove(&m->order[at], &m->order[at + 1], (m->count - (unsigned)at) * sizeof m->order[0]);
}

static void model_push(struct model *m, ref entry) {
	memmove(&m->order[1], &m->order[0], m->count * sizeof m->order[0]);
	m->order[0] = entry;
	m->count++;
}

static void check(struct arena *a, const struct lru *l, const struct model *m) {
	ref at = l->newest, before = 0;

	for (unsigned i = 0; i < m->count; i++) {
		const struct entry *e = arena_at(a, at);

		assert_int_equal(at, m->order[i]);
		assert_int_equal(e->lru_prev, before);
		before = at;
		at = e->lru_next;
	}
	assert_int_equal(at, 0);
	assert_int_equal(l->oldest, before);
}

static void test_the_list_has_the_order_of_a_model(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct arena *a;
	struct model m = {.count = 0};
	struct lru l = {0, 0};
	ref entries[ENTRIES];

	assert_int_equal(arena_open(&a, "test", NULL), 0);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_int_not_equal(entries[i] = arena_alloc_zero(a, sizeof(struct entry), ARENA_ENTRY), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		ref e = entries[random_next(&seed) % ENTRIES], other = entries[random_next(&seed) % ENTRIES];
		bool in = model_find(&m, e) >= 0;

		switch (random_next(&seed) % 4) {
		case 0:
			if (!in) {
				lru_push(a, &l, e);
				model_push(&m, e);
			}
			break;
		case 1:
			if (in) {
				lru_touch(a, &l, e);
				model_remove(&m, e);
				model_push(&m, e);
			}
			break;
		case 2:
			/* Sometimes empties the list, so that short lists occur often. The entry may be in the list or
			 * not. */
			for (unsigned i = 0; step % 50 == 0 && i < ENTRIES; i++) {
				lru_remove(a, &l, entries[i]);
				model_remove(&m, entries[i]);
			}
			lru_remove(a, &l, e);
			model_remove(&m, e);
			assert_int_equal(((struct entry *)arena_at(a, e))->lru_prev, 0);
			assert_int_equal(((struct entry *)arena_at(a, e))->lru_next, 0);
			break;
		default:
			if (in && model_find(&m, other) < 0) {
				lru_replace(a, &l, e, other);
				m.order[model_find(&m, e)] = other;
				assert_int_equal(((struct entry *)arena_at(a, e))->lru_prev, 0);
				assert_int_equal(((struct entry *)arena_at(a, e))->lru_next, 0);
			}
		}
		check(a, &l, &m);
	}
	arena_close(a);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_list_has_the_order_of_a_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
