/* Pending input. */
#include "lone.h"
#include "net/pending.h"

static void keeps_what_did_not_run_and_wipes_where_it_was(void **state) {
	struct lone *l = lone_new();
	struct connection *c = l->connection;
	char input[] = "AUTH secret";
	static const char zeros[sizeof(input) - 1];
	(void)state;
	assert_int_equal(pending_keep(c, input, sizeof(input) - 1, false), 0);
	assert_true(slice_is(buffer_slice(&c->pending->bytes), "AUTH secret"));
	assert_memory_equal(input, zeros, sizeof(zeros));
	lone_free(l);
}

static void keeps_the_end_of_its_own_bytes(void **state) {
	struct lone *l = lone_new();
	struct connection *c = l->connection;
	char input[] = "PING\r\nGET key\r\n";
	(void)state;
	assert_int_equal(pending_keep(c, input, sizeof(input) - 1, false), 0);
	struct buffer *b = &c->pending->bytes;
	assert_int_equal(pending_keep(c, b->data + 6, b->len - 6, false), 0);
	assert_true(slice_is(buffer_slice(b), "GET key\r\n"));
	assert_int_equal(pending_skip(c->pending, 4), 0);
	assert_true(slice_is(buffer_slice(b), "key\r\n"));
	assert_int_equal(pending_skip(c->pending, b->len), 0);
	assert_int_equal(b->len, 0);
	lone_free(l);
}

/* A buffer whose bytes have mostly run is replaced by a small one. */
static void gives_back_a_buffer_that_is_much_too_large(void **state) {
	enum { SIZE = 1 << 20 };
	struct lone *l = lone_new();
	struct connection *c = l->connection;
	char *input = malloc(SIZE);
	(void)state;
	assert_non_null(input);
	memset(input, 'x', SIZE);
	assert_int_equal(pending_keep(c, input, SIZE, false), 0);
	free(input);
	struct buffer *b = &c->pending->bytes;
	assert_true(b->cap >= SIZE);
	assert_int_equal(pending_keep(c, b->data + SIZE - 100, 100, false), 0);
	assert_int_equal(b->len, 100);
	assert_true(b->cap < SIZE / 4);
	lone_free(l);
}

static void bytes_to_try_wait_for_the_next_turn(void **state) {
	struct lone *l = lone_new();
	struct connection *c = l->connection;
	(void)state;
	assert_int_equal(pending_hold(c, SLICE("PING\r\n")), 0);
	assert_true(l->worker->busy);
	assert_true((c->flags & (CONNECTION_WAITING | CONNECTION_RUNNABLE)) ==
		    (CONNECTION_WAITING | CONNECTION_RUNNABLE));
	assert_ptr_equal(l->worker->waiting.next, &c->pending->wait);
	pending_drop(c);
	assert_null(c->pending);
	assert_true(list_empty(&l->worker->waiting));
	assert_int_equal(c->flags & (CONNECTION_WAITING | CONNECTION_RUNNABLE), 0);
	lone_free(l);
}

static void wakes_only_a_client_that_was_kept_back(void **state) {
	struct lone *l = lone_new();
	struct connection *c = l->connection;
	char input[] = "PING\r\n";
	(void)state;
	assert_int_equal(pending_keep(c, input, sizeof(input) - 1, false), 0);
	pending_wake(c);
	assert_true(list_empty(&l->worker->waiting));
	c->flags |= CONNECTION_RUNNABLE;
	pending_wake(c);
	pending_wake(c);
	assert_ptr_equal(l->worker->waiting.next, &c->pending->wait);
	assert_ptr_equal(l->worker->waiting.prev, &c->pending->wait);
	pending_drop(c);
	lone_free(l);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_did_not_run_and_wipes_where_it_was),
		cmocka_unit_test(keeps_the_end_of_its_own_bytes),
		cmocka_unit_test(gives_back_a_buffer_that_is_much_too_large),
		cmocka_unit_test(bytes_to_try_wait_for_the_next_turn),
		cmocka_unit_test(wakes_only_a_client_that_was_kept_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
