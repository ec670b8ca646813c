#include "atomdb/events/tracking_broadcast.h"
#include "world.h"

#define OK "+OK\r\n"

static void test_changed_keys_of_a_prefix_are_sent_once_when_the_turn_ends(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON BCAST PREFIX p PREFIX q", OK);
	expect(b, "MSET p2 1 other 1 p1 1 p2 2 p 3", OK);
	assert_string_equal(pushed(a), "");
	world_end_turn(a->session.env);
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n*3\r\n$1\r\np\r\n$2\r\np1\r\n$2\r\np2\r\n");
	world_end_turn(a->session.env);
	assert_string_equal(pushed(a), "");
	client_free(b);
	close_world(w, a);
}

static void test_noloop_leaves_out_the_keys_that_the_client_wrote(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect_part(b, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON BCAST NOLOOP", OK);
	expect(b, "CLIENT TRACKING ON BCAST", OK);
	expect(a, "SET a 1", OK);
	world_end_turn(a->session.env);
	assert_string_equal(pushed(a), "");
	assert_string_equal(pushed(b), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_many_changes_are_sent_before_the_turn_ends(void **state) {
	static char name[200 << 10];
	struct slice argv[] = {SLICE("SET"), {name, sizeof(name)}, SLICE("1")};
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	memset(name, 'x', sizeof(name));
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON BCAST", OK);
	client_run(b, argv, 3);
	assert_int_equal(a->pushed.len, 0);
	name[0] = 'y';
	client_run(b, argv, 3);
	assert_true(a->pushed.len > 2 * sizeof(name));
	client_free(b);
	close_world(w, a);
}

static void test_changes_that_find_no_room_are_sent_as_null(void **state) {
	const struct tenant_limits limits = {.max_memory = 100000, .client_memory = 40000};
	static char name[39000];
	struct client *a;
	struct world *w = open_world(&limits, &a);
	(void)state;
	memset(name, 'x', sizeof(name));
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON BCAST", OK);
	tracking_broadcast_changed(a->session.tenant->clients.subscriptions, (struct slice){name, sizeof(name)});
	world_end_turn(a->session.env);
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n_\r\n");
	close_world(w, a);
}

static void test_a_tenant_that_ends_has_nothing_to_send(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON BCAST", OK);
	expect(b, "SET k 1", OK);
	assert_non_null(a->session.env->unsent);
	expect(a, "RESET", "+RESET\r\n");
	assert_null(b->session.env->unsent);
	world_end_turn(b->session.env);
	client_free(b);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changed_keys_of_a_prefix_are_sent_once_when_the_turn_ends),
		cmocka_unit_test(test_noloop_leaves_out_the_keys_that_the_client_wrote),
		cmocka_unit_test(test_many_changes_are_sent_before_the_turn_ends),
		cmocka_unit_test(test_changes_that_find_no_room_are_sent_as_null),
		cmocka_unit_test(test_a_tenant_that_ends_has_nothing_to_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
