/* Wrong and new secrets with an injected clock and sources. */
#include "commands/connection/auth_limit.h"
#include "world.h"

#define MS UINT64_C(1000000)

static uint64_t source; /* of every session */

static uint64_t tell_source(const struct session *s) {
	(void)s;
	return source;
}

static const struct session_host host = {.source = tell_source};

static void open_environment(struct environment *env, uint64_t from, uint32_t rate) {
	*env = (struct environment){.host = &host, .now_ns = 1000 * MS, .steady_ms = 1000, .worker_count = 1};
	env->settings.auth_rate = rate;
	source = from;
}

static void pass(struct environment *env, unsigned ms) {
	env->now_ns += ms * MS;
	env->steady_ms += ms;
}

/* Tries secrets as often as possible in this time. Returns the number of attempts. */
static unsigned try_for(struct session *s, unsigned ms) {
	unsigned count = 0;
	for (unsigned i = 0; i < ms; i++) {
		for (; auth_limit_wait(s) == 0 && count < 100000; count++)
			auth_limit_count(s);
		pass(s->env, 1);
	}
	return count;
}

static void some_are_free_and_then_each_waits(void **state) {
	(void)state;
	struct environment env;
	struct session s;
	open_environment(&env, 0, 10);
	session_init(&s, &env, 1);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(auth_limit_wait(&s), 0);
		auth_limit_count(&s);
	}
	int64_t until = auth_limit_wait(&s);
	assert_true(until > env.steady_ms && until <= env.steady_ms + 100 + 16);
	pass(&env, (unsigned)(until - env.steady_ms));
	assert_int_equal(auth_limit_wait(&s), 0);
	unsigned more = try_for(&s, 10000);
	assert_true(more >= 99 && more <= 102);
	/* After a second of rest the full burst is available. */
	pass(&env, 2000);
	assert_int_equal(try_for(&s, 1), 10);
}

static void no_limit_is_none(void **state) {
	(void)state;
	struct environment env;
	struct session s;
	open_environment(&env, 5, 0);
	session_init(&s, &env, 1);
	assert_int_equal(try_for(&s, 1), 100000);
	env.settings.new_tenants_per_second = 0;
	for (unsigned i = 0; i < 100000; i++)
		assert_true(auth_limit_new_tenant(&env));
}

static void connections_of_one_source_wait_together_and_those_of_loopback_do_not(void **state) {
	(void)state;
	struct environment env;
	for (unsigned from = 0; from < 2; from++) {
		unsigned sum = 0;
		open_environment(&env, from, 10);
		for (unsigned i = 0; i < 20; i++) {
			struct session s;
			session_init(&s, &env, i + 1);
			sum += try_for(&s, 1);
		}
		assert_int_equal(sum, from == 0 ? 200 : 10);
	}
	/* Another source is not delayed, and the first one still is. */
	struct session s;
	session_init(&s, &env, 99);
	assert_true(auth_limit_wait(&s) > 0);
	source = 2;
	assert_int_equal(auth_limit_wait(&s), 0);
}

/* More sources than the table has slots: the sources with the longest delays stay. */
static void many_sources_do_not_free_the_one_that_owes_most(void **state) {
	(void)state;
	struct environment env;
	struct session s;
	open_environment(&env, 12345, 10);
	for (unsigned i = 0; i < 10; i++) {
		session_init(&s, &env, 1);
		auth_limit_count(&s);
	}
	assert_true(auth_limit_wait(&s) > 0);
	for (unsigned i = 0; i < 10 * AUTH_SOURCES; i++) {
		session_init(&s, &env, 1);
		source = 1000000 + i;
		auth_limit_count(&s);
	}
	session_init(&s, &env, 1);
	source = 12345;
	assert_true(auth_limit_wait(&s) > 0);
}

static void new_tenants_of_all_are_limited(void **state) {
	(void)state;
	struct environment env;
	open_environment(&env, 0, 10);
	env.settings.new_tenants_per_second = 100;
	env.worker_count = 2;
	unsigned made = 0;
	for (unsigned i = 0; i < 10000; i++) {
		made += auth_limit_new_tenant(&env);
		if (i % 100 == 99)
			pass(&env, 100);
	}
	/* The burst of ten seconds, and then this worker's half of the rate. */
	assert_true(made >= 980 && made <= 1010);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_are_free_and_then_each_waits),
		cmocka_unit_test(no_limit_is_none),
		cmocka_unit_test(connections_of_one_source_wait_together_and_those_of_loopback_do_not),
		cmocka_unit_test(many_sources_do_not_free_the_one_that_owes_most),
		cmocka_unit_test(new_tenants_of_all_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
