#include "atomdb/session/run.h"
#include "atomdb/store/tenant.h"
#include "world.h"

static enum outcome fails(struct session *s, const struct request *r) {
	(void)r;
	writer_error(s->reply, "ERR no");
	return OUTCOME_DONE;
}

static enum outcome waits(struct session *s, const struct request *r) {
	(void)s;
	(void)r;
	return OUTCOME_RETRY;
}

static enum outcome scribbles(struct session *s, const struct request *r) {
	(void)r;
	assert_int_equal(buffer_append(&s->env->scratch, "text", 4, SIZE_MAX), 0);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

static enum outcome run(struct client *c, enum outcome (*handler)(struct session *s, const struct request *r)) {
	struct command row = *command_find(&command_set, SLICE("ping"));
	const struct slice argv[] = {SLICE("PING")};
	const struct request r = {.argv = argv, .argc = 1, .command = &row};
	uint64_t ticks = clock_ticks();
	row.run = handler;
	c->out.len = 0;
	writer_init(&c->writer, &c->out, (size_t)1 << 20);
	return command_run(&c->session, &r, &ticks);
}

static void test_a_command_is_counted_for_its_tenant_and_by_name(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	const struct command_counters *counters = &c->session.env->commands[COMMAND_PING];
	(void)state;
	uint64_t commands = counter_get(&c->session.tenant->counters.commands);
	assert_int_equal(run(c, command_find(&command_set, SLICE("ping"))->run), OUTCOME_DONE);
	assert_int_equal(counter_get(&c->session.tenant->counters.commands), commands + 1);
	assert_int_equal(counter_get(&counters->failed), 0);
	assert_int_equal(run(c, fails), OUTCOME_DONE);
	assert_int_equal(counter_get(&c->session.tenant->counters.commands), commands + 2);
	assert_int_equal(counter_get(&counters->failed), 1);
	close_world(w, c);
}

static void test_a_command_that_waits_is_not_counted(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	uint64_t commands = counter_get(&c->session.tenant->counters.commands);
	assert_int_equal(run(c, waits), OUTCOME_RETRY);
	assert_int_equal(counter_get(&c->session.tenant->counters.commands), commands);
	close_world(w, c);
}

static void test_the_scratch_buffer_is_empty_between_commands(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	run(c, scribbles);
	assert_int_equal(c->session.env->scratch.len, 0);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_command_is_counted_for_its_tenant_and_by_name),
		cmocka_unit_test(test_a_command_that_waits_is_not_counted),
		cmocka_unit_test(test_the_scratch_buffer_is_empty_between_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
