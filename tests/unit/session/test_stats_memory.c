#include "atomdb/session/stats_memory.h"
#include "world.h"

static uint64_t charged(const struct client *c) {
	return counter_get(&c->session.tenant->counters.bytes);
}

static void test_memory_is_zeroed_and_charged_until_it_is_freed(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	uint64_t before = charged(c);
	char *memory = stats_memory_alloc(c->session.tenant, 100, true);
	assert_non_null(memory);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(memory[i], 0);
	assert_int_equal(charged(c), before + 100);
	stats_memory_free(c->session.tenant, memory, 100);
	stats_memory_free(c->session.tenant, NULL, 100);
	assert_int_equal(charged(c), before);
	close_world(w, c);
}

static void test_only_an_optional_charge_is_refused(void **state) {
	const struct tenant_limits limits = {.max_memory = 65536, .eviction = EVICTION_NONE};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	uint64_t before = charged(c);
	assert_null(stats_memory_alloc(c->session.tenant, 100000, true));
	assert_int_equal(charged(c), before);
	void *memory = stats_memory_alloc(c->session.tenant, 100000, false);
	assert_non_null(memory);
	assert_int_equal(charged(c), before + 100000);
	stats_memory_free(c->session.tenant, memory, 100000);
	assert_int_equal(charged(c), before);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_zeroed_and_charged_until_it_is_freed),
		cmocka_unit_test(test_only_an_optional_charge_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
