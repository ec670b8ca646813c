#include <errno.h>

#include "atomdb/session/fanout.h"
#include "world.h"

/* The calls to the connection floor. */
static int prepare_result;
static struct fanout *sent;
static unsigned woken, undone;

static int prepare(struct environment *env, struct fanout *c) {
	(void)env, (void)c;
	return prepare_result;
}

static void send(struct environment *env, struct fanout *c) {
	(void)env;
	assert_null(sent);
	sent = c;
}

static void wake(struct environment *env) {
	(void)env;
	woken++;
}

static void undo(struct environment *env) {
	(void)env;
	undone++;
}

static void part(struct environment *env, struct fanout *c, struct fanout_answer *answer) {
	answer->number = c->number * 10 + env->worker;
	assert_int_equal(buffer_append(&answer->text, c->argv[1].data, c->argv[1].len, SIZE_MAX), 0);
}

static void reply(struct session *s, struct fanout *c) {
	int64_t sum = 0;
	for (unsigned i = 0; i < c->workers; i++)
		sum += c->answers[i].number;
	writer_integer(s->reply, sum);
}

static const struct fanout_kind kind = {.on_worker = part, .gather = reply, .undo = undo};
static const struct slice argv[] = {{"tenant", 6}, {"x\0y", 3}};
static const struct request request = {.argv = argv, .argc = 2};

struct fixture {
	struct world *world;
	struct session_host host;
	struct client *client;
	struct writer writer;
	struct buffer out;
};

static void begin(struct fixture *f, unsigned workers) {
	const struct tenants_config tenants_config = {.open = true};
	f->world = world_new(&tenants_config);
	f->host = *f->world->env[0].host;
	f->host.prepare_fanout = prepare;
	f->host.send_fanout = send;
	f->host.wake = wake;
	f->world->env[0].host = &f->host;
	f->world->env[0].worker_count = workers;
	f->client = client_new(f->world, 0);
	buffer_init(&f->out);
	writer_init(&f->writer, &f->out, SIZE_MAX);
	f->client->session.reply = &f->writer;
	prepare_result = 0;
	sent = NULL;
	woken = undone = 0;
}

static void end(struct fixture *f) {
	if (f->client != NULL)
		client_free(f->client);
	buffer_deinit(&f->out);
	world_free(f->world);
}

static void replied(const struct fixture *f, const char *text) {
	assert_int_equal(f->out.len, strlen(text));
	assert_memory_equal(f->out.data, text, strlen(text));
}

static void a_worker_that_is_alone_answers_at_once(void **state) {
	(void)state;
	struct fixture f;
	begin(&f, 1);
	assert_int_equal(fanout_run(&f.client->session, &request, &kind, 7), OUTCOME_DONE);
	assert_null(sent);
	assert_null(fanout_of(&f.client->session));
	replied(&f, ":70\r\n");
	end(&f);
}

static void all_answer(struct fixture *f) {
	struct fanout *c = sent;
	part(&f->world->env[1], c, &c->answers[1]);
	assert_true(fanout_answered(c));
	fanout_done(&f->world->env[0], c);
}

static void the_session_waits_for_all(void **state) {
	(void)state;
	struct fixture f;
	begin(&f, 2);
	struct session *s = &f.client->session;
	assert_int_equal(fanout_run(s, &request, &kind, 7), OUTCOME_BLOCKED);
	assert_int_equal(fanout_run(s, &request, &kind, 7), OUTCOME_BLOCKED);
	assert_ptr_equal(fanout_of(s), sent);
	assert_int_equal(sent->argc, 2);
	assert_true(slice_equal(sent->argv[1], argv[1]));
	assert_ptr_not_equal(sent->argv[1].data, argv[1].data);
	all_answer(&f);
	assert_int_equal(woken, 1);
	assert_int_equal(fanout_run(s, &request, &kind, 7), OUTCOME_DONE);
	replied(&f, ":141\r\n");
	assert_null(fanout_of(s));
	assert_int_equal(undone, 0);
	end(&f);
}

static void a_session_may_go_before_or_behind_the_answer(void **state) {
	(void)state;
	for (unsigned before = 0; before < 2; before++) {
		struct fixture f;
		begin(&f, 2);
		assert_int_equal(fanout_run(&f.client->session, &request, &kind, 7), OUTCOME_BLOCKED);
		if (!before)
			all_answer(&f);
		fanout_abandon(&f.client->session);
		assert_null(fanout_of(&f.client->session));
		if (before)
			all_answer(&f);
		assert_int_equal(undone, 1);
		assert_int_equal(woken, !before);
		end(&f);
	}
}

static void what_cannot_be_sent_is_an_error(void **state) {
	(void)state;
	struct fixture f;
	begin(&f, 2);
	prepare_result = -ENOMEM;
	assert_int_equal(fanout_run(&f.client->session, &request, &kind, 7), OUTCOME_DONE);
	assert_null(sent);
	assert_int_equal(f.out.data[0], '-');
	assert_null(fanout_of(&f.client->session));
	end(&f);
}

static void a_fanout_without_a_session_ends_with_the_last_answer(void **state) {
	(void)state;
	struct fixture f;
	static const struct fanout_kind silent = {.control = CONTROL_SHUTDOWN};
	begin(&f, 2);
	fanout_post(&f.world->env[0], &silent, 0);
	assert_non_null(sent);
	assert_true(fanout_answered(sent));
	fanout_done(&f.world->env[0], sent);
	assert_int_equal(woken, 0);
	end(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_is_alone_answers_at_once),
		cmocka_unit_test(the_session_waits_for_all),
		cmocka_unit_test(a_session_may_go_before_or_behind_the_answer),
		cmocka_unit_test(what_cannot_be_sent_is_an_error),
		cmocka_unit_test(a_fanout_without_a_session_ends_with_the_last_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
