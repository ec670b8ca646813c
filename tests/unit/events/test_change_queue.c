#include <errno.h>

#include "atomdb/events/change_queue.h"
#include "world.h"

static void test_changes_are_taken_in_their_order(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct change_queue q, all;
	struct queued_change c;
	(void)state;
	change_queue_init(&q, a->session.tenant);
	assert_true(change_queue_empty(&q));
	assert_int_equal(change_queue_add(&q, &(struct queued_change){CHANGE_EXPIRED, 3, SLICE("k")}), 0);
	assert_int_equal(change_queue_add(&q, &(struct queued_change){CHANGE_NEW, 15, SLICE("")}), 0);
	change_queue_take_all(&all, &q);
	assert_true(change_queue_empty(&q));
	assert_true(change_queue_take(&all, &c));
	assert_int_equal(c.what, CHANGE_EXPIRED);
	assert_int_equal(c.database, 3);
	assert_true(slice_equal(c.name, SLICE("k")));
	assert_true(change_queue_take(&all, &c));
	assert_int_equal(c.what, CHANGE_NEW);
	assert_int_equal(c.name.len, 0);
	assert_false(change_queue_take(&all, &c));
	change_queue_deinit(&all);
	change_queue_deinit(&q);
	close_world(w, a);
}

static void test_a_queue_is_charged_to_its_tenant(void **state) {
	const struct tenant_limits limits = {.max_memory = 1000000, .client_memory = 40000};
	static const char name[1000];
	struct client *a;
	struct world *w = open_world(&limits, &a);
	struct tenant *t = a->session.tenant;
	uint64_t before = counter_get(&t->counters.client_bytes);
	struct change_queue q;
	unsigned added = 0;
	(void)state;
	change_queue_init(&q, t);
	while (change_queue_add(&q, &(struct queued_change){CHANGE_NEW, 0, {name, sizeof(name)}}) == 0)
		added++;
	assert_in_range(added, 1, 100);
	assert_true(counter_get(&t->counters.client_bytes) >= before + added * sizeof(name));
	change_queue_deinit(&q);
	assert_int_equal(counter_get(&t->counters.client_bytes), before);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_are_taken_in_their_order),
		cmocka_unit_test(test_a_queue_is_charged_to_its_tenant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
