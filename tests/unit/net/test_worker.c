/* The life of a worker. */
#include "atomdb/store/shard_open.h"
#include "atomdb/util/error.h"
#include "server.h"

static void refuses_more_listeners_than_epoll_can_tell_apart(void **state) {
	struct settings settings = server_settings();
	struct worker_shared shared = {.worker_count = 1};
	struct worker *w = NULL;
	(void)state;
	assert_int_equal(worker_new(&w, 0, &shared, &settings, NULL, 5000), ATOMDB_E_RANGE);
	assert_null(w);
}

static void a_worker_that_never_ran_is_freed_with_its_messages(void **state) {
	struct settings settings = server_settings();
	struct worker *w = NULL, *const workers[] = {NULL};
	struct worker_shared shared = {.workers = workers, .worker_count = 1};
	struct shard *shard;
	(void)state;
	assert_int_equal(worker_new(&w, 0, &shared, &settings, NULL, 0), 0);
	assert_int_equal(shard_new(&shard, &(struct shard_options){.id = 0}), 0);
	assert_int_equal(worker_add_shard(w, shard), 0);
	assert_int_equal(worker_post_settings(w, &settings), 0);
	worker_ping(w);
	worker_join(w);
	assert_int_equal(counter_get(&worker_counters(w)->pongs), 0);
	worker_free(w);
}

static void every_state_of_a_client_has_a_name(void **state) {
	(void)state;
	for (unsigned i = 0; i < CLIENT_STATES; i++) {
		assert_non_null(client_state_names[i]);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(client_state_names[i], client_state_names[j]);
	}
}

static void closes_the_clients_of_a_worker_that_has_ended(void **state) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	struct server *s = server_start(&settings, &tenants_config);
	(void)state;
	int fds[2] = {client_auth(s, "one"), client_open(s)};
	wait_for(server_sum(s, clients) == 2);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_freeze(s->workers[i]);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_join(s->workers[i]);
	s->running = false;
	assert_int_equal(server_sum(s, clients), 2);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_close_clients(s->workers[i]);
	client_expect_end(fds[0]);
	client_expect_end(fds[1]);
	assert_int_equal(server_sum(s, clients), 0);
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_more_listeners_than_epoll_can_tell_apart),
		cmocka_unit_test(a_worker_that_never_ran_is_freed_with_its_messages),
		cmocka_unit_test(every_state_of_a_client_has_a_name),
		cmocka_unit_test(closes_the_clients_of_a_worker_that_has_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
