/* The shares of tenants in a worker's time, in a simulation of turns. */
#include "net/share.h"
#include "server.h"

/* A tenant that has work in each turn, in requests of `cost_ns`. */
struct load {
	struct tenant tenant;
	unsigned clients;
	uint64_t cost_ns, used_ns;
	unsigned longest_wait; /* requests of others between two of its own */
	unsigned waited;
};

static void load_init(struct load *l, unsigned clients, uint64_t cost_ns, uint32_t weight) {
	*l = (struct load){.clients = clients, .cost_ns = cost_ns};
	l->tenant.share_factor = (TENANT_CPU_WEIGHT << SHARE_FACTOR_BITS) / weight;
}

static void serve(struct load *loads, unsigned count, struct load *l) {
	share_use(&l->tenant, l->cost_ns);
	l->used_ns += l->cost_ns;
	for (unsigned i = 0; i < count; i++)
		loads[i].waited++;
	l->longest_wait = l->waited > l->longest_wait ? l->waited : l->longest_wait;
	l->waited = 0;
}

/* A turn as the loop does it: tenants that are not ahead, then those that are, then the end. */
static void turn(struct share *s, struct load *loads, unsigned count) {
	uint64_t spent_ns = 0;
	share_begin_turn(s);
	for (unsigned i = 0; i < count; i++) {
		for (unsigned k = 0; k < loads[i].clients; k++) {
			if (spent_ns > SHARE_SLICE_NS)
				s->ahead_ns = 0;
			if (!share_admits(s, &loads[i].tenant))
				continue;
			serve(loads, count, &loads[i]);
			spent_ns += loads[i].cost_ns;
		}
	}
	share_serve_ahead(s);
	for (unsigned i = 0; i < count; i++) {
		if (share_admits(s, &loads[i].tenant)) {
			serve(loads, count, &loads[i]);
			break;
		}
	}
}

static void run(struct load *loads, unsigned count) {
	struct share s;
	uint64_t used_ns = 0;
	share_init(&s);
	while (used_ns < UINT64_C(2000000000)) {
		turn(&s, loads, count);
		used_ns = 0;
		for (unsigned i = 0; i < count; i++)
			used_ns += loads[i].used_ns;
	}
}

static void assert_ratio(uint64_t a, uint64_t b, double ratio) {
	double found = (double)a / (double)b;
	if (found < ratio * 0.98 || found > ratio * 1.02)
		fail_msg("%g is not %g", found, ratio);
}

static void two_tenants_get_equal_time_whatever_their_clients_send(void **state) {
	static const struct {
		unsigned clients;
		uint64_t cost_ns;
	} kinds[] = {{1, 3000}, {50, 3000}, {256, 1000}, {1, 400000}, {20, 900000}, {1, 3000000}};
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			struct load loads[2];
			load_init(&loads[0], kinds[i].clients, kinds[i].cost_ns, 100);
			load_init(&loads[1], kinds[k].clients, kinds[k].cost_ns, 100);
			run(loads, 2);
			assert_ratio(loads[0].used_ns, loads[1].used_ns, 1);
		}
	}
}

static void time_is_shared_by_weight(void **state) {
	struct load loads[3];
	(void)state;
	load_init(&loads[0], 10, 5000, 100);
	load_init(&loads[1], 50, 100000, 200);
	load_init(&loads[2], 1, 700, 25);
	run(loads, 3);
	assert_ratio(loads[1].used_ns, loads[0].used_ns, 2);
	assert_ratio(loads[0].used_ns, loads[2].used_ns, 4);
}

/* A tenant that comes after a pause waits for one slice of the others, not for one of each. */
static void a_tenant_that_was_idle_is_served_in_its_first_turn(void **state) {
	struct load loads[11];
	struct share s;
	(void)state;
	for (unsigned i = 0; i < 11; i++)
		load_init(&loads[i], 50, 400000 + i * 777, 100);
	/* It had work before. */
	loads[10].tenant.share_ns = 1;
	share_init(&s);
	for (unsigned i = 0; i < 1000; i++)
		turn(&s, loads, 10);
	loads[10].waited = 0;
	turn(&s, loads, 11);
	assert_true(loads[10].used_ns > 0);
	/* Requests of 0.4 ms in a slice of 1 ms, and one of the tenant with the least virtual time. */
	assert_true(loads[10].longest_wait <= 4);
}

static void an_idle_tenant_saves_no_credit(void **state) {
	struct load loads[2];
	struct share s;
	(void)state;
	load_init(&loads[0], 50, 10000, 100);
	load_init(&loads[1], 50, 10000, 100);
	share_init(&s);
	for (unsigned i = 0; i < 1000; i++)
		turn(&s, loads, 1);
	uint64_t before = loads[0].used_ns;
	for (unsigned i = 0; i < 1000; i++)
		turn(&s, loads, 2);
	assert_ratio(loads[0].used_ns - before, loads[1].used_ns, 1);
}

/* A client that opens one tenant after the other, each of which has done nothing yet. */
static void new_tenants_do_not_keep_a_tenant_waiting(void **state) {
	struct load quiet;
	struct share s;
	(void)state;
	load_init(&quiet, 1, 50000, 100);
	share_init(&s);
	for (unsigned i = 0; i < 1000; i++) {
		struct load fresh;
		load_init(&fresh, 1, 2000000, 100);
		share_begin_turn(&s);
		(void)share_admits(&s, &fresh.tenant);
		s.ahead_ns = 0;
		if (!share_admits(&s, &quiet.tenant)) {
			share_serve_ahead(&s);
			assert_true(share_admits(&s, &quiet.tenant));
		}
		share_use(&quiet.tenant, quiet.cost_ns);
	}
}

static void clients_without_a_tenant_wait_once_the_slice_is_used_up(void **state) {
	struct share s;
	(void)state;
	share_init(&s);
	share_begin_turn(&s);
	assert_true(share_admits(&s, NULL));
	s.ahead_ns = 0;
	assert_false(share_admits(&s, NULL));
	share_serve_ahead(&s);
	assert_true(share_admits(&s, NULL));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_tenants_get_equal_time_whatever_their_clients_send),
		cmocka_unit_test(time_is_shared_by_weight),
		cmocka_unit_test(a_tenant_that_was_idle_is_served_in_its_first_turn),
		cmocka_unit_test(an_idle_tenant_saves_no_credit),
		cmocka_unit_test(new_tenants_do_not_keep_a_tenant_waiting),
		cmocka_unit_test(clients_without_a_tenant_wait_once_the_slice_is_used_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
