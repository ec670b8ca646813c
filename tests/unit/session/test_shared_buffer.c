#include "alloc_fail.h"
#include "atomdb/session/shared_buffer.h"
#include "world.h"

static void test_bytes_are_charged_once_until_the_last_holder_releases_them(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	uint64_t before = charged_for_clients(c);
	struct shared *m = shared_buffer_new(c->session.tenant, 1000);
	assert_non_null(m);
	assert_int_equal(m->holders, 1);
	assert_true(m->bytes.cap >= 1000);
	assert_int_equal(m->bytes.len, 0);
	uint64_t full = before + sizeof(*m) + 1000;
	assert_int_equal(charged_for_clients(c), full);
	assert_ptr_equal(shared_buffer_hold(m), m);
	assert_ptr_equal(shared_buffer_hold(m), m);
	assert_int_equal(charged_for_clients(c), full);
	shared_buffer_release(m);
	shared_buffer_release(m);
	assert_int_equal(m->holders, 1);
	assert_int_equal(charged_for_clients(c), full);
	shared_buffer_release(m);
	assert_int_equal(charged_for_clients(c), before);
	shared_buffer_release(NULL);
	close_world(w, c);
}

static void test_bytes_beyond_the_limit_of_clients_are_refused(void **state) {
	const struct tenant_limits limits = {.max_memory = 1 << 20, .client_memory = 100000};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	uint64_t before = charged_for_clients(c);
	size_t room = 100000 - before - sizeof(struct shared);
	assert_null(shared_buffer_new(c->session.tenant, room + 1));
	assert_int_equal(charged_for_clients(c), before);
	struct shared *m = shared_buffer_new(c->session.tenant, room);
	assert_non_null(m);
	assert_null(shared_buffer_new(c->session.tenant, 0));
	shared_buffer_release(m);
	assert_int_equal(charged_for_clients(c), before);
	close_world(w, c);
}

static void test_a_size_that_would_overflow_is_refused(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	uint64_t before = charged_for_clients(c);
	alloc_fail_seen = 0;
	assert_null(shared_buffer_new(c->session.tenant, SIZE_MAX));
	assert_null(shared_buffer_new(c->session.tenant, SIZE_MAX - sizeof(struct shared) + 1));
	assert_int_equal(alloc_fail_seen, 0);
	assert_int_equal(charged_for_clients(c), before);
	close_world(w, c);
}

static void test_nothing_is_charged_if_an_allocation_fails(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	uint64_t before = charged_for_clients(c);
	/* The header, then the bytes. */
	for (unsigned nth = 1; nth <= 2; nth++) {
		alloc_fail_at = nth;
		assert_null(shared_buffer_new(c->session.tenant, 1000));
		assert_int_equal(alloc_fail_at, 0);
		assert_int_equal(charged_for_clients(c), before);
	}
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_charged_once_until_the_last_holder_releases_them),
		cmocka_unit_test(test_bytes_beyond_the_limit_of_clients_are_refused),
		cmocka_unit_test(test_a_size_that_would_overflow_is_refused),
		cmocka_unit_test(test_nothing_is_charged_if_an_allocation_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
