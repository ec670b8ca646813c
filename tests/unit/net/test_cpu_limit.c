/* The limit on a tenant's CPU time. */
#include "net/cpu_limit.h"
#include "turned.h"

#define MS    UINT64_C(1000000)
#define START (UINT64_C(1000) * 1000 * MS)

static void a_tenant_within_its_burst_does_not_wait(void **state) {
	struct tenant t = {.limits.cpu_limit = 500};
	(void)state;
	/* At half a CPU, 50 ms of CPU time are paid for by 100 ms. */
	cpu_limit_use(&t, 50 * MS, START);
	assert_int_equal(t.clients.cpu_wait_ms, 0);
	assert_int_equal(counter_get(&t.counters.cpu_throttled_ns), 0);
	cpu_limit_use(&t, 1 * MS, START);
	assert_true(t.clients.cpu_wait_ms > (int64_t)(START / MS));
}

static void a_tenant_in_debt_waits_until_it_has_paid(void **state) {
	struct tenant t = {.limits.cpu_limit = 100};
	const int64_t start_ms = START / MS;
	(void)state;
	cpu_limit_use(&t, 30 * MS, START);
	/* 300 ms at a tenth of a CPU, less the burst of 100 ms, and the pause of 10 ms. */
	assert_int_equal(t.clients.cpu_wait_ms, start_ms + 210);
	assert_int_equal(counter_get(&t.counters.cpu_throttled_ns), 210 * MS);
	/* Work that was under way: the wait gets longer, and is not counted twice. */
	cpu_limit_use(&t, 1 * MS, START);
	assert_int_equal(t.clients.cpu_wait_ms, start_ms + 220);
	assert_int_equal(counter_get(&t.counters.cpu_throttled_ns), 220 * MS);
}

/* A tenant that always has work, in pieces: when it does not wait, it runs. */
static void a_busy_tenant_gets_its_limit(void **state) {
	static const uint32_t limits[] = {10, 100, 500, 900};
	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct tenant t = {.limits.cpu_limit = limits[i]};
		uint64_t used = 0, now = START;
		while (now < START + 20000 * MS) {
			if (t.clients.cpu_wait_ms > (int64_t)(now / MS)) {
				now += MS;
				continue;
			}
			now += MS / 2;
			used += MS / 2;
			cpu_limit_use(&t, MS / 2, now);
		}
		uint64_t allowed = 20000 * MS / 1000 * limits[i];
		assert_true(used <= allowed + CPU_LIMIT_BURST_NS);
		assert_true(used >= allowed * 9 / 10 - CPU_LIMIT_BURST_NS);
	}
}

static void an_idle_tenant_saves_one_burst(void **state) {
	struct tenant t = {.limits.cpu_limit = 500};
	(void)state;
	cpu_limit_use(&t, 50 * MS, START);
	cpu_limit_use(&t, 50 * MS, START + 3600 * 1000 * MS);
	assert_int_equal(t.clients.cpu_wait_ms, 0);
	cpu_limit_use(&t, 1 * MS, START + 3600 * 1000 * MS);
	assert_true(t.clients.cpu_wait_ms > 0);
}

/* A busy worker would use a whole CPU: it does not wait for events. */
static void the_worker_sleeps_while_a_tenant_waits(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client limited = turned_auth(s, "limited"), other = turned_auth(s, "other");
	struct tenant *t = limited.connection->session.tenant;
	t->limits.cpu_limit = 100;
	session_follow_limits(t);
	cpu_limit_use(t, 60000 * MS, s->worker->env.now_ns);
	turned_ask(limited, "SET a b\r\nGET a\r\n", "");
	turned_ask(other, "PING\r\n", "+PONG\r\n");
	turned_turns(s, 3);
	assert_false(s->worker->busy);
	assert_int_equal(s->worker->resume_ms, t->clients.cpu_wait_ms);
	/* The timer expires not later than the wait ends. */
	assert_true(s->worker->armed_ms <= s->worker->real_ms + (t->clients.cpu_wait_ms - s->worker->env.steady_ms));
	/* The wait is over. */
	t->clients.cpu_wait_ms = limited.connection->session.wait_ms = s->worker->resume_ms = 1;
	turned_turns(s, 3);
	turned_expect(limited, "+OK\r\n$1\r\nb\r\n");
	turned_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tenant_within_its_burst_does_not_wait),
		cmocka_unit_test(a_tenant_in_debt_waits_until_it_has_paid),
		cmocka_unit_test(a_busy_tenant_gets_its_limit),
		cmocka_unit_test(the_worker_sleeps_while_a_tenant_waits),
		cmocka_unit_test(an_idle_tenant_saves_one_burst),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
