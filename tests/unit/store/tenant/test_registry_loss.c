#include <stdlib.h>
#include <string.h>

#include "atomdb/store/registry_loss.h"
#include "harness.h"

static struct tenant_identity identities[5];

static struct tenant tenant_with(unsigned number, const char *name, uint64_t keys, uint64_t bytes) {
	struct tenant t = {.identity = &identities[number]};
	strcpy(identities[number].name, name);
	counter_set(&t.counters.keys, keys);
	counter_set(&t.counters.bytes, bytes);
	return t;
}

static void expect(const struct registry_loss *loss, const char *text) {
	char out[512];
	registry_describe_loss(loss, out, sizeof out);
	assert_string_equal(out, text);
}

static void test_each_kind_of_loss_is_described(void **state) {
	struct registry_loss loss = {0};
	struct tenant shop = tenant_with(0, "shop", 509, 40000), blog = tenant_with(1, "blog", 7, 800),
		      jobs = tenant_with(2, "jobs", 1, 100);
	(void)state;
	expect(&loss, "");
	registry_count_loss(&loss, &shop, KEY_LIMIT_ENTRIES, 30);
	expect(&loss, "shop (509 keys, 40000 bytes: max_entries 30)");
	registry_count_loss(&loss, &blog, KEY_LIMITS, 0);
	registry_count_loss(&loss, &jobs, KEY_LIMIT_EVICTION, 1);
	expect(&loss, "shop (509 keys, 40000 bytes: max_entries 30), blog (7 keys, 800 bytes), "
		      "jobs (1 keys, 100 bytes: eviction \"lru\")");
	assert_int_equal(loss.count, 3);
	assert_int_equal(loss.limited, 2);
}

static void test_the_first_tenants_stand_for_many(void **state) {
	struct registry_loss loss = {0};
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct tenant t = tenant_with(i, (const char *[]){"a", "b", "c", "d", "e"}[i], 10 + i, 100);
		registry_count_loss(&loss, &t, KEY_LIMIT_MEMORY, 50);
	}
	expect(&loss, "a (10 keys, 100 bytes: max_memory 50), b (11 keys, 100 bytes: max_memory 50), "
		      "c (12 keys, 100 bytes: max_memory 50) and 2 more, in all 60 keys, 500 bytes");
}

static void test_a_description_is_cut_to_its_room(void **state) {
	struct registry_loss loss = {0};
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct tenant t = tenant_with(i, "a-name-of-some-length", UINT64_MAX / 10, UINT64_MAX / 10);
		registry_count_loss(&loss, &t, KEY_LIMIT_MEMORY, UINT64_MAX - 1);
	}
	for (size_t size = 1; size < 300; size++) {
		char *out = malloc(size);
		memset(out, 'x', size);
		registry_describe_loss(&loss, out, size);
		assert_true(strnlen(out, size) < size);
		free(out);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_of_loss_is_described),
		cmocka_unit_test(test_the_first_tenants_stand_for_many),
		cmocka_unit_test(test_a_description_is_cut_to_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
