#include "atomdb/events/publish.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

static struct subscriptions *subscriptions_of(const struct client *c) {
	return c->session.tenant->clients.subscriptions;
}

static void test_a_message_reaches_subscribers_of_the_channel_and_of_matching_patterns(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	uint64_t work = 1000, receivers = 7;
	(void)state;
	ask(a, "SUBSCRIBE news");
	ask(b, "PSUBSCRIBE n* m*");
	assert_int_equal(
		publish_message(subscriptions_of(a), CHANNEL_GLOBAL, SLICE("news"), SLICE("hi"), &work, &receivers), 0);
	assert_int_equal(receivers, 2);
	assert_true(work < 1000);
	assert_string_equal(pushed(a), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
	assert_string_equal(pushed(b), "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_a_shard_channel_is_another_channel(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	uint64_t work = 1000, receivers = 7;
	(void)state;
	ask(a, "SUBSCRIBE news");
	ask(a, "PSUBSCRIBE n*");
	assert_int_equal(
		publish_message(subscriptions_of(a), CHANNEL_SHARD, SLICE("news"), SLICE("hi"), &work, &receivers), 0);
	assert_int_equal(receivers, 0);
	assert_string_equal(pushed(a), "");
	close_world(w, a);
}

static void test_a_message_without_subscribers_reaches_none(void **state) {
	uint64_t work = 0, receivers = 7;
	(void)state;
	assert_int_equal(publish_message(NULL, CHANNEL_GLOBAL, SLICE("c"), SLICE("m"), &work, &receivers), 0);
	assert_int_equal(receivers, 0);
}

static void test_patterns_that_take_too_many_steps_send_nothing(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	uint64_t work = 0, receivers = 7;
	(void)state;
	ask(a, "SUBSCRIBE news");
	ask(a, "PSUBSCRIBE n*");
	assert_int_equal(
		publish_message(subscriptions_of(a), CHANNEL_GLOBAL, SLICE("news"), SLICE("hi"), &work, &receivers),
		ATOMDB_E_RANGE);
	assert_int_equal(receivers, 0);
	assert_string_equal(pushed(a), "");
	close_world(w, a);
}

static void test_patterns_have_a_limit_and_one_that_is_there_fits(void **state) {
	static char name[1 << 20];
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	memset(name, 'x', sizeof(name));
	ask(a, "PSUBSCRIBE there");
	const struct subscriptions *h = subscriptions_of(a);
	assert_true(publish_pattern_fits(h, SLICE("there")));
	assert_true(publish_pattern_fits(h, SLICE("other")));
	assert_false(publish_pattern_fits(h, (struct slice){name, sizeof(name)}));
	close_world(w, a);
}

static void test_an_event_leaves_out_patterns_when_its_steps_are_used_up(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	ask(a, "PSUBSCRIBE *");
	struct subscriptions *h = subscriptions_of(a);
	publish_event(h, SLICE("c"), SLICE("one"));
	assert_non_null(strstr(pushed(a), "one"));
	h->event_work = 0;
	publish_event(h, SLICE("c"), SLICE("two"));
	assert_string_equal(pushed(a), "");
	assert_int_equal(counter_get(&h->tenant->counters.lost_events), 1);
	/* The next turn of the worker has its own steps. */
	world_pass(w, 1);
	publish_event(h, SLICE("c"), SLICE("three"));
	assert_non_null(strstr(pushed(a), "three"));
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_reaches_subscribers_of_the_channel_and_of_matching_patterns),
		cmocka_unit_test(test_a_shard_channel_is_another_channel),
		cmocka_unit_test(test_a_message_without_subscribers_reaches_none),
		cmocka_unit_test(test_patterns_that_take_too_many_steps_send_nothing),
		cmocka_unit_test(test_patterns_have_a_limit_and_one_that_is_there_fits),
		cmocka_unit_test(test_an_event_leaves_out_patterns_when_its_steps_are_used_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
