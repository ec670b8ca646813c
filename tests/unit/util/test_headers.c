#include "atomdb/util/counter.h"
#include "atomdb/util/list.h"
#include "atomdb/util/log.h"
#include "atomdb/util/slice.h"
#include "harness.h"

struct item {
	int value;
	struct list node;
};

static void a_list_keeps_its_order(void **state) {
	struct list l;
	struct item items[5];
	(void)state;
	list_init(&l);
	assert_true(list_empty(&l));
	for (int i = 0; i < 5; i++) {
		items[i].value = i;
		list_init(&items[i].node);
		assert_false(list_linked(&items[i].node));
		list_push_back(&l, &items[i].node);
		assert_true(list_linked(&items[i].node));
	}
	int seen = 0;
	list_for_each (node, &l) {
		struct item *item = list_entry(node, struct item, node);
		assert_int_equal(item->value, seen++);
		if (item->value % 2 == 0)
			list_remove(node);
	}
	assert_int_equal(seen, 5);
	assert_ptr_equal(list_entry(l.next, struct item, node), &items[1]);
	assert_ptr_equal(list_entry(l.prev, struct item, node), &items[3]);
	list_remove(&items[0].node);
	list_remove(&items[1].node);
	list_remove(&items[3].node);
	assert_true(list_empty(&l));
}

static void slices_compare(void **state) {
	(void)state;
	assert_true(slice_equal(SLICE("ab"), slice_of("ab")));
	assert_false(slice_equal(SLICE("ab"), SLICE("abc")));
	assert_false(slice_equal(SLICE("ab"), SLICE("aB")));
	assert_true(slice_equal((struct slice){NULL, 0}, SLICE("")));
	assert_true(slice_equal(SLICE("a\0b"), SLICE("a\0b")));
	assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
	assert_true(slice_is(SLICE("GeT"), "get"));
	assert_false(slice_is(SLICE("get "), "get"));
	assert_false(slice_is(SLICE(""), "get"));
}

static void counters_count(void **state) {
	counter c = 0;
	(void)state;
	counter_add(&c, 5);
	counter_sub(&c, 2);
	assert_int_equal(counter_get(&c), 3);
	counter_set(&c, 9);
	assert_int_equal(counter_get(&c), 9);
}

static void keep(void *context, const struct log_event *event) {
	*(const struct log_event **)context = event;
}

static void events_reach_their_sink(void **state) {
	const struct log_event *seen = NULL;
	const struct log_event event = {.error = -1};
	struct log_sink sink = {keep, &seen}, mute = {NULL, NULL};
	(void)state;
	log_report(NULL, &event);
	log_report(&mute, &event);
	assert_null(seen);
	log_report(&sink, &event);
	assert_ptr_equal(seen, &event);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_keeps_its_order),
		cmocka_unit_test(slices_compare),
		cmocka_unit_test(counters_count),
		cmocka_unit_test(events_reach_their_sink),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
