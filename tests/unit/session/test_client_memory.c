/* The limit on the memory of a tenant's clients, and which client is closed beyond it. */
#include "atomdb/session/client_memory.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

static struct session *evicted;

/* The tests write the closed clients there. */
static uint64_t held(const struct session *s) {
	return (uint64_t)s->populated;
}

/* Its memory is freed at once. */
static void evict(struct session *s, uint64_t bytes) {
	assert_int_equal(bytes, held(s));
	client_memory_discharge(s->tenant, bytes);
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
		assert_int_equal(client_memory_charge(t, NULL, held(&others[i]), CHARGE_NOW), 0);
	}
	/* 40,000 and 50,000 are held: with that many more this client holds most. */
	assert_int_equal(client_memory_charge(t, &c->session, 30000, CHARGE_NOW), ATOMDB_E_OOM);
	assert_null(evicted);
	assert_int_equal(client_memory_charge(t, &c->session, 15000, CHARGE_NOW), 0);
	assert_ptr_equal(evicted, &others[1]);
	client_memory_discharge(t, 15000);
	/* A message has no holder: a client that holds memory is closed first. CLIENT NO-EVICT only moves a client
	 * behind the others. */
	c->session.flags |= SESSION_CLOSING;
	others[0].flags |= SESSION_NO_EVICT;
	assert_int_equal(client_memory_charge(t, NULL, 70000, CHARGE_LATER), 0);
	assert_ptr_equal(evicted, &others[0]);
	assert_int_equal(client_memory_charge(t, NULL, 70000, CHARGE_LATER), ATOMDB_E_OOM);
	client_memory_discharge(t, 70000);
	assert_int_equal(counter_get(&t->counters.client_bytes), 0);
	for (unsigned i = 0; i < 2; i++)
		list_remove(&others[i].tenant_link);
	c->session.env->host = NULL;
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_follows_what_the_tenant_may_have),
		cmocka_unit_test(the_greediest_client_goes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
