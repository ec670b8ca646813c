/* The limit on the memory of a tenant's clients, and which client is closed beyond it. */
#include "alloc_fail.h"
#include "atomdb/session/client_memory.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

static struct session *evicted;

static struct client_charge charges[2];

/* The tests write the bytes of a connection there. */
static uint64_t held(const struct session *s) {
	return (uint64_t)s->populated;
}

/* Frees the memory of the connection. */
static void evict(struct session *s, uint64_t bytes) {
	assert_int_equal(bytes, held(s) + s->event_bytes);
	for (unsigned i = 0; i < 2; i++) {
		if (charges[i].bytes == held(s))
			client_charge_release(&charges[i]);
	}
	evicted = s;
}

static const struct session_host host = {.held = held, .evict = evict};

static void the_limit_follows_what_the_tenant_may_have(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	assert_true(tenant_client_limit(t) == UINT64_MAX);
	t->limits.max_memory = 8 << 20;
	assert_int_equal(tenant_client_limit(t), 2 << 20);
	t->limits.client_memory = 1 << 20;
	assert_int_equal(tenant_client_limit(t), 1 << 20);
	t->limits.client_memory = 1 << 30;
	assert_int_equal(tenant_client_limit(t), 8 << 20);
	t->limits = (struct tenant_limits){.max_memory = 4096};
	assert_int_equal(tenant_client_limit(t), 64 << 10);
	close_world(w, c);
}

static void the_greediest_client_goes_first(void **state) {
	struct client *c;
	struct world *w = open_world(&(struct tenant_limits){.max_memory = 1 << 20, .client_memory = 100000}, &c);
	struct tenant *t = c->session.tenant;
	struct session others[2];
	(void)state;
	c->session.env->host = &host;
	c->session.populated = 30000;
	for (unsigned i = 0; i < 2; i++) {
		session_init(&others[i], c->session.env, i + 4);
		others[i].populated = 40000 + (int64_t)i * 10000;
		list_push_back(&t->clients.sessions, &others[i].tenant_link);
		others[i].tenant = t;
		charges[i].tenant = t;
		assert_int_equal(client_charge_grow(&charges[i], NULL, held(&others[i]), CHARGE_NOW), 0);
	}
	/* The others hold 40,000 and 50,000 bytes, and this client would hold 60,000. */
	struct client_charge own = {.tenant = t};
	assert_int_equal(client_charge_grow(&own, &c->session, 30000, CHARGE_NOW), ATOMDB_E_OOM);
	assert_int_equal(own.bytes, 0);
	assert_null(evicted);
	assert_int_equal(client_charge_grow(&own, &c->session, 15000, CHARGE_NOW), 0);
	assert_ptr_equal(evicted, &others[1]);
	client_charge_release(&own);
	/* For shared memory any client is closed. A client with CLIENT NO-EVICT is only closed after the others. */
	c->session.flags |= SESSION_CLOSING;
	others[0].flags |= SESSION_NO_EVICT;
	assert_int_equal(client_charge_grow(&own, NULL, 70000, CHARGE_LATER), 0);
	assert_ptr_equal(evicted, &others[0]);
	assert_int_equal(client_charge_grow(&own, NULL, 70000, CHARGE_LATER), ATOMDB_E_OOM);
	assert_int_equal(own.bytes, 70000);
	client_charge_release(&own);
	assert_int_equal(counter_get(&t->counters.client_bytes), 0);
	client_charge_release(&charges[0]);
	client_charge_release(&charges[1]);
	for (unsigned i = 0; i < 2; i++)
		list_remove(&others[i].tenant_link);
	c->session.env->host = NULL;
	close_world(w, c);
}

/* A suspended command still uses the memory of its client. */
static void a_client_whose_command_is_suspended_is_spared(void **state) {
	struct client *c;
	struct world *w = open_world(&(struct tenant_limits){.max_memory = 1 << 20, .client_memory = 100000}, &c);
	struct tenant *t = c->session.tenant;
	struct session others[2];
	(void)state;
	evicted = NULL;
	c->session.env->host = &host;
	for (unsigned i = 0; i < 2; i++) {
		session_init(&others[i], c->session.env, i + 4);
		others[i].populated = 50000 - (int64_t)i * 10000;
		list_push_back(&t->clients.sessions, &others[i].tenant_link);
		others[i].tenant = t;
		charges[i].tenant = t;
		assert_int_equal(client_charge_grow(&charges[i], NULL, held(&others[i]), CHARGE_NOW), 0);
	}
	/* The first one holds most, but it is suspended. */
	others[0].flags |= SESSION_SUSPENDED;
	struct client_charge own = {.tenant = t};
	assert_int_equal(client_charge_grow(&own, NULL, 20000, CHARGE_LATER), 0);
	assert_ptr_equal(evicted, &others[1]);
	/* It is the only one left. */
	assert_int_equal(client_charge_grow(&own, NULL, 40000, CHARGE_LATER), ATOMDB_E_OOM);
	assert_int_equal(own.bytes, 20000);
	assert_int_equal(charges[0].bytes, 50000);
	client_charge_release(&own);
	client_charge_release(&charges[0]);
	client_charge_release(&charges[1]);
	for (unsigned i = 0; i < 2; i++)
		list_remove(&others[i].tenant_link);
	c->session.env->host = NULL;
	close_world(w, c);
}

static void a_charge_grows_shrinks_and_releases_what_is_left(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	const uint64_t all = counter_get(&t->counters.bytes), clients = charged_for_clients(c);
	struct client_charge charge = {.tenant = t};
	(void)state;
	client_charge_release(&charge);
	assert_int_equal(client_charge_grow(&charge, &c->session, 100, CHARGE_NOW), 0);
	assert_int_equal(client_charge_grow(&charge, NULL, 50, CHARGE_LATER), 0);
	assert_int_equal(charge.bytes, 150);
	assert_int_equal(charged_for_clients(c), clients + 150);
	assert_int_equal(counter_get(&t->counters.bytes), all + 150);
	client_charge_shrink(&charge, 30);
	assert_int_equal(charged_for_clients(c), clients + 120);
	client_charge_release(&charge);
	client_charge_release(&charge);
	assert_int_equal(charge.bytes, 0);
	assert_int_equal(charged_for_clients(c), clients);
	assert_int_equal(counter_get(&t->counters.bytes), all);
	close_world(w, c);
}

static void a_block_counts_for_its_session_until_it_is_freed(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	const uint64_t before = charged_for_clients(c);
	(void)state;
	char *block = client_memory_alloc(s, 1000);
	assert_non_null(block);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(block[i], 0);
	assert_int_equal(s->event_bytes, 1000);
	assert_int_equal(charged_for_clients(c), before + 1000);
	client_memory_free(s, block, 1000);
	client_memory_free(s, NULL, 1000);
	assert_int_equal(s->event_bytes, 0);
	assert_int_equal(charged_for_clients(c), before);
	close_world(w, c);
}

static void a_block_without_room_or_memory_charges_nothing(void **state) {
	const struct tenant_limits limits = {.max_memory = 1 << 20, .client_memory = 100000};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	struct session *s = &c->session;
	const uint64_t all = counter_get(&s->tenant->counters.bytes), clients = charged_for_clients(c);
	(void)state;
	assert_null(client_memory_alloc(s, 100001));
	alloc_fail_at = 1;
	assert_null(client_memory_alloc(s, 1000));
	assert_int_equal(alloc_fail_at, 0);
	assert_int_equal(s->event_bytes, 0);
	assert_int_equal(charged_for_clients(c), clients);
	assert_int_equal(counter_get(&s->tenant->counters.bytes), all);
	close_world(w, c);
}

/* Memory of a client that closes at the end of the turn is no longer part of what all clients hold. */
static void memory_that_an_evicted_client_frees_is_discounted_once(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	struct tenant *t = s->tenant;
	(void)state;
	s->env->host = &host;
	void *first = client_memory_alloc(s, 1000), *second = client_memory_alloc(s, 500);
	client_memory_evict(t, s);
	assert_int_equal(t->clients.leaving_bytes, 1500);
	client_memory_free(s, first, 1000);
	assert_int_equal(t->clients.leaving_bytes, 500);
	assert_int_equal(charged_for_clients(c), 500);
	client_memory_free(s, second, 500);
	assert_int_equal(t->clients.leaving_bytes, 0);
	assert_int_equal(s->leaving_bytes, 0);
	s->env->host = NULL;
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_follows_what_the_tenant_may_have),
		cmocka_unit_test(the_greediest_client_goes_first),
		cmocka_unit_test(a_client_whose_command_is_suspended_is_spared),
		cmocka_unit_test(a_charge_grows_shrinks_and_releases_what_is_left),
		cmocka_unit_test(a_block_counts_for_its_session_until_it_is_freed),
		cmocka_unit_test(a_block_without_room_or_memory_charges_nothing),
		cmocka_unit_test(memory_that_an_evicted_client_frees_is_discounted_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
