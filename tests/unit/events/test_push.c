#include "alloc_fail.h"
#include "atomdb/events/push.h"
#include "atomdb/events/subscriptions.h"
#include "world.h"

struct fixture {
	struct client *a, *b;
	struct world *w;
	struct push *push;
};

static struct fixture open_fixture(void) {
	struct fixture f;
	f.w = open_world(NULL, &f.a);
	f.b = join(f.w, f.a);
	assert_int_equal(subscriber_open(&f.a->session), 0);
	f.push = &f.a->session.tenant->clients.subscriptions->push;
	return f;
}

static void close_fixture(struct fixture *f) {
	client_free(f->b);
	close_world(f->w, f->a);
}

static void begin_message(struct fixture *f) {
	struct writer body = push_body(f->push, 1);
	writer_bulk(&body, SLICE("x"));
	struct writer head = push_head(f->push, 2);
	writer_bulk(&head, SLICE("m"));
}

static void test_a_message_has_the_protocol_of_its_receiver(void **state) {
	struct fixture f = open_fixture();
	(void)state;
	f.b->session.protocol = 3;
	begin_message(&f);
	push_send(f.push, &f.a->session);
	push_send(f.push, &f.b->session);
	push_send_body(f.push, &f.b->session);
	push_end(f.push);
	assert_string_equal(pushed(f.a), "*2\r\n$1\r\nm\r\n$1\r\nx\r\n");
	assert_string_equal(pushed(f.b), ">2\r\n$1\r\nm\r\n$1\r\nx\r\n$1\r\nx\r\n");
	close_fixture(&f);
}

static void test_a_push_during_a_reply_comes_behind_it_and_is_charged_until_then(void **state) {
	struct fixture f = open_fixture();
	(void)state;
	f.a->out.len = 0;
	uint64_t before = charged_for_clients(f.a);
	push_begin_command(f.push, &f.a->session);
	push_send_bytes(f.push, &f.a->session, SLICE("early"));
	assert_string_equal(pushed(f.a), "early");
	writer_ok(f.a->session.reply);
	push_send_bytes(f.push, &f.a->session, SLICE("late"));
	assert_string_equal(pushed(f.a), "");
	assert_int_equal(charged_for_clients(f.a), before + 4);
	push_end_command(f.push, &f.a->session);
	assert_string_equal(pushed(f.a), "late");
	assert_int_equal(charged_for_clients(f.a), before);
	close_fixture(&f);
}

static void test_a_change_of_the_store_is_pushed_behind_the_reply(void **state) {
	struct fixture f = open_fixture();
	(void)state;
	push_begin_command(f.push, &f.a->session);
	f.push->unplanned = true;
	push_send_bytes(f.push, &f.a->session, SLICE("expired"));
	f.push->unplanned = false;
	assert_string_equal(pushed(f.a), "");
	push_end_command(f.push, &f.a->session);
	assert_string_equal(pushed(f.a), "expired");
	close_fixture(&f);
}

static void test_a_session_that_leaves_is_sent_nothing_and_charged_nothing(void **state) {
	struct fixture f = open_fixture();
	(void)state;
	uint64_t before = charged_for_clients(f.a);
	push_begin_command(f.push, &f.a->session);
	push_hold(f.push, &f.push->deferred, "abc", 3);
	push_hold(f.push, &f.push->own, "abc", 3);
	assert_int_equal(charged_for_clients(f.a), before + 6);
	push_forget(f.push, &f.b->session);
	assert_ptr_equal(f.push->current, &f.a->session);
	push_forget(f.push, &f.a->session);
	assert_null(f.push->current);
	assert_int_equal(charged_for_clients(f.a), before);
	push_end_command(f.push, &f.a->session);
	assert_string_equal(pushed(f.a), "");
	close_fixture(&f);
}

static void test_a_push_for_which_an_allocation_fails_is_lost_and_not_charged(void **state) {
	struct fixture f = open_fixture();
	(void)state;
	uint64_t before = charged_for_clients(f.a);
	push_begin_command(f.push, &f.a->session);
	alloc_fail_at = 1;
	push_hold(f.push, &f.push->deferred, "abc", 3);
	assert_int_equal(alloc_fail_at, 0);
	assert_true(f.a->writer.failed);
	assert_int_equal(charged_for_clients(f.a), before);
	push_end_command(f.push, &f.a->session);
	assert_int_equal(charged_for_clients(f.a), before);
	close_fixture(&f);
}

static void test_held_pushes_end_with_the_subscriptions_of_the_tenant(void **state) {
	struct fixture f = open_fixture();
	struct push push;
	(void)state;
	uint64_t before = charged_for_clients(f.a);
	push_init(&push, f.a->session.env, f.a->session.tenant);
	push_begin_command(&push, &f.a->session);
	push_hold(&push, &push.deferred, "abc", 3);
	push_hold(&push, &push.own, "abc", 3);
	assert_int_equal(charged_for_clients(f.a), before + 6);
	push_deinit(&push);
	assert_int_equal(charged_for_clients(f.a), before);
	close_fixture(&f);
}

static void test_held_pushes_count_for_the_limit_of_the_reply(void **state) {
	struct fixture f = open_fixture();
	(void)state;
	f.a->out.len = 0;
	f.a->writer.limit = 8;
	uint64_t before = charged_for_clients(f.a);
	push_begin_command(f.push, &f.a->session);
	push_hold(f.push, &f.push->deferred, "12345", 5);
	assert_false(f.a->writer.failed);
	push_hold(f.push, &f.push->own, "12345", 5);
	assert_true(f.a->writer.failed);
	push_end_command(f.push, &f.a->session);
	assert_string_equal(pushed(f.a), "");
	assert_int_equal(charged_for_clients(f.a), before);
	close_fixture(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_has_the_protocol_of_its_receiver),
		cmocka_unit_test(test_a_push_during_a_reply_comes_behind_it_and_is_charged_until_then),
		cmocka_unit_test(test_a_change_of_the_store_is_pushed_behind_the_reply),
		cmocka_unit_test(test_a_session_that_leaves_is_sent_nothing_and_charged_nothing),
		cmocka_unit_test(test_a_push_for_which_an_allocation_fails_is_lost_and_not_charged),
		cmocka_unit_test(test_held_pushes_end_with_the_subscriptions_of_the_tenant),
		cmocka_unit_test(test_held_pushes_count_for_the_limit_of_the_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
