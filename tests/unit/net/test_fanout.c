/* Commands of the operator that need other workers or the control plane. */
#include "atomdb/session/fanout.h"
#include "server.h"

static struct server *start_with_operator(struct secret *secret) {
	struct settings settings = server_settings();
	struct tenants_config tenants_config = server_open_tenants();
	secret_digest(SLICE("operator"), secret);
	tenants_config.admin = secret;
	return server_start(&settings, &tenants_config);
}

/* Reads a bulk string and returns the number of occurrences of `word`. */
static unsigned count_in_bulk(int fd, const char *word) {
	char head[32];
	size_t len = 0;
	do
		client_read(fd, &head[len], 1);
	while (head[len++] != '\n');
	assert_int_equal(head[0], '$');
	size_t size = strtoul(head + 1, NULL, 10);
	char *text = calloc(1, size + 3);
	assert_non_null(text);
	client_read(fd, text, size + 2);
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		count++;
	free(text);
	return count;
}

static void the_operator_sees_the_clients_of_all_workers(void **state) {
	enum { CLIENTS = 8 };
	struct secret secret;
	struct server *s = start_with_operator(&secret);
	int fds[CLIENTS], admin = client_auth(s, "operator");
	char text[32];
	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(text, sizeof(text), "secret-%d", i);
		fds[i] = client_auth(s, text);
	}
	assert_true(counter_get(&worker_counters(s->workers[0])->clients) > 0);
	assert_true(counter_get(&worker_counters(s->workers[1])->clients) > 0);
	client_send(admin, "CLIENT LIST\r\n");
	assert_int_equal(count_in_bulk(admin, " addr="), CLIENTS + 1);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	close(admin);
	server_free(s);
}

struct plane {
	struct server *server;
	struct fanout *_Atomic asked;
};

static void keep_fanout(void *context, struct fanout *c) {
	atomic_store(&((struct plane *)context)->asked, c);
}

/* The answer follows all messages that were sent to the workers before. */
static void the_control_plane_answers_behind_earlier_messages(void **state) {
	struct secret secret;
	struct server *s = start_with_operator(&secret);
	struct plane plane = {.server = s};
	struct settings settings = server_settings();
	(void)state;
	s->shared.control = (struct control_plane){.ask = keep_fanout, .context = &plane};
	int admin = client_auth(s, "operator");
	client_send(admin, "TENANT LIST\r\nPING\r\n");
	wait_for(atomic_load(&plane.asked) != NULL);
	struct fanout *c = atomic_load(&plane.asked);
	assert_int_equal(c->kind->control, CONTROL_TENANT_LIST);
	assert_int_equal(buffer_append(&c->answers[0].text, "*0\r\n", 4, SIZE_MAX), 0);
	uint64_t before[WORKERS];
	for (unsigned i = 0; i < WORKERS; i++) {
		before[i] = counter_get(&worker_counters(s->workers[i])->messages);
		assert_int_equal(worker_post_settings(s->workers[i], &settings), 0);
	}
	worker_answer_behind_all(&s->shared, c);
	client_expect(admin, "*0\r\n+PONG\r\n");
	for (unsigned i = 0; i < WORKERS; i++)
		assert_true(counter_get(&worker_counters(s->workers[i])->messages) >= before[i] + 2);
	close(admin);
	server_free(s);
}

static void a_question_that_nothing_answers_ends_with_the_workers(void **state) {
	struct secret secret;
	struct server *s = start_with_operator(&secret);
	struct plane plane = {.server = s};
	(void)state;
	s->shared.control = (struct control_plane){.ask = keep_fanout, .context = &plane};
	int admin = client_auth(s, "operator");
	client_send(admin, "TENANT LIST\r\n");
	wait_for(atomic_load(&plane.asked) != NULL);
	server_stop(s, 0);
	client_expect_end(admin);
	worker_discard_fanout(atomic_load(&plane.asked));
	server_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_operator_sees_the_clients_of_all_workers),
		cmocka_unit_test(the_control_plane_answers_behind_earlier_messages),
		cmocka_unit_test(a_question_that_nothing_answers_ends_with_the_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
