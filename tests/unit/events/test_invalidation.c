#include "atomdb/events/invalidation.h"
#include "world.h"

#define OK "+OK\r\n"

static void send_name(struct client *to, struct slice name) {
	struct subscriptions *h = to->session.tenant->clients.subscriptions;
	assert_true(invalidation_write_name(h, name));
	invalidation_send(h, to->session.subscriber->tracking);
	push_end(&h->push);
}

static void test_a_client_of_resp3_gets_a_push(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON", OK);
	send_name(a, SLICE("k"));
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
	close_world(w, a);
}

static void test_a_client_of_resp2_gets_invalidations_by_redirection(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	char line[64];
	(void)state;
	/* Subscribes in the form of the other end. */
	expect(a, "CLIENT TRACKING ON", OK);
	send_name(a, SLICE("k"));
	assert_string_equal(pushed(a), "");
	snprintf(line, sizeof(line), "CLIENT TRACKING ON REDIRECT %llu", (unsigned long long)b->session.id);
	expect(a, line, OK);
	send_name(a, SLICE("k"));
	assert_string_equal(pushed(b), "");
	const struct slice subscribe[] = {SLICE("SUBSCRIBE"), SLICE("__redis__:invalidate")};
	client_run(b, subscribe, 2);
	send_name(a, SLICE("k"));
	assert_string_equal(pushed(b), "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_a_broken_redirection_is_reported(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	char line[64], want[96];
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	unsigned long long id = b->session.id;
	snprintf(line, sizeof(line), "CLIENT TRACKING ON REDIRECT %llu", id);
	snprintf(want, sizeof(want), ">2\r\n$21\r\ntracking-redir-broken\r\n:%llu\r\n", id);
	expect(a, line, OK);
	client_free(b);
	send_name(a, SLICE("k"));
	assert_string_equal(pushed(a), want);
	close_world(w, a);
}

static void test_own_changes_are_sent_when_the_command_ends(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect_part(a, "HELLO 3", "%7");
	expect(a, "CLIENT TRACKING ON", OK);
	struct subscriptions *h = a->session.tenant->clients.subscriptions;
	uint64_t before = charged_for_clients(a);
	push_begin_command(&h->push, &a->session);
	send_name(a, SLICE("k"));
	assert_string_equal(pushed(a), "");
	assert_true(charged_for_clients(a) > before);
	push_end_command(&h->push, &a->session);
	invalidation_send_own(h, &a->session);
	assert_string_equal(pushed(a), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
	assert_int_equal(charged_for_clients(a), before);
	invalidation_send_own(h, &a->session);
	assert_string_equal(pushed(a), "");
	close_world(w, a);
}

static void test_null_has_the_protocol_of_its_receiver(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	expect(a, "CLIENT TRACKING ON", OK);
	struct subscriptions *h = a->session.tenant->clients.subscriptions;
	invalidation_write_null(h, &a->session);
	assert_true(slice_equal(push_body_bytes(&h->push), SLICE("$-1\r\n")));
	a->session.protocol = 3;
	invalidation_write_null(h, &a->session);
	assert_true(slice_equal(push_body_bytes(&h->push), SLICE("_\r\n")));
	push_end(&h->push);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_client_of_resp3_gets_a_push),
		cmocka_unit_test(test_a_client_of_resp2_gets_invalidations_by_redirection),
		cmocka_unit_test(test_a_broken_redirection_is_reported),
		cmocka_unit_test(test_own_changes_are_sent_when_the_command_ends),
		cmocka_unit_test(test_null_has_the_protocol_of_its_receiver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
