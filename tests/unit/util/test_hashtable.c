#include <stdlib.h>

#include "atomdb/util/hashtable.h"
#include "harness.h"

#define ITEMS 5000

struct item {
	struct hash_link link;
	unsigned number;
};

static struct item *find(struct hashtable *t, uint64_t hash, unsigned number) {
	for (struct hash_link *l = hashtable_first(t, hash); l != NULL; l = l->next) {
		struct item *i = (struct item *)(void *)l;
		if (i->number == number)
			return i;
	}
	return NULL;
}

static uint64_t hash_of(unsigned number) {
	return number * UINT64_C(0x9E3779B97F4A7C15) >> 17;
}

static void all_links_are_found(void **state) {
	struct hashtable t = {0};
	struct item *items = calloc(ITEMS, sizeof(*items));
	(void)state;
	assert_non_null(items);
	assert_null(hashtable_first(&t, 1));
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i] = (struct item){.link.hash = hash_of(i), .number = i};
		assert_int_equal(hashtable_reserve(&t), 0);
		hashtable_insert(&t, &items[i].link);
		assert_int_equal(t.count, i + 1);
		assert_ptr_equal(find(&t, hash_of(i / 2), i / 2), &items[i / 2]);
	}
	for (unsigned i = 0; i < ITEMS; i++)
		assert_ptr_equal(find(&t, hash_of(i), i), &items[i]);
	for (unsigned i = 0; i < ITEMS; i += 2)
		hashtable_remove(&t, &items[i].link);
	for (unsigned i = 0; i < ITEMS; i++)
		assert_ptr_equal(find(&t, hash_of(i), i), i % 2 == 0 ? NULL : &items[i]);
	for (unsigned i = 1; i < ITEMS; i += 2)
		hashtable_remove(&t, &items[i].link);
	assert_int_equal(t.count, 0);
	assert_null(t.buckets);
	free(items);
}

static void equal_hashes_are_all_found(void **state) {
	struct hashtable t = {0};
	struct item items[100];
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		items[i] = (struct item){.link.hash = 7, .number = i};
		assert_int_equal(hashtable_reserve(&t), 0);
		hashtable_insert(&t, &items[i].link);
	}
	for (unsigned i = 0; i < 100; i++)
		assert_ptr_equal(find(&t, 7, i), &items[i]);
	hashtable_deinit(&t);
	assert_null(hashtable_first(&t, 7));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_links_are_found),
		cmocka_unit_test(equal_hashes_are_all_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
