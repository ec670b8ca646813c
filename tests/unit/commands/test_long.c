/* Which commands run on a fiber, by their arguments and by what their tenant has. */
#include "atomdb/session/command.h"
#include "commands/long.h"
#include "world.h"

/* Whether the command would run on a fiber: `count` arguments `argument` behind the words of `line`. */
static bool is_long_with(struct client *c, const char *line, unsigned count, const char *argument) {
	char *text = strdup(line);
	struct slice *argv = calloc(count + 16, sizeof(*argv));
	struct request r = {.argv = argv};
	assert_true(text != NULL && argv != NULL);
	for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
		argv[r.argc++] = slice_of(word);
	for (unsigned i = 0; i < count; i++)
		argv[r.argc++] = slice_of(argument);
	r.command = command_find_arguments(&command_set, argv, r.argc);
	assert_non_null(r.command);
	bool is_long = (r.command->flags & CMD_LONG) != 0 &&
		       (r.command->is_long == NULL || r.command->is_long(&c->session, &r));
	free(argv);
	free(text);
	return is_long;
}

static bool is_long(struct client *c, const char *line) {
	return is_long_with(c, line, 0, NULL);
}

static void commands_of_few_arguments_run_in_one_piece(void **state) {
	static const char *const few[] = {"MGET a b",
					  "MSET a 1 b 2",
					  "DEL a",
					  "UNLINK a b c",
					  "EXISTS a",
					  "WATCH a",
					  "PFCOUNT a b",
					  "PFADD a b c",
					  "SUBSCRIBE a b",
					  "PSUBSCRIBE a*",
					  "CONFIG GET maxmemory",
					  "SCAN 0",
					  "PUBLISH c m"};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (unsigned i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		if (is_long(c, few[i]))
			fail_msg("%s", few[i]);
	close_world(w, c);
}

static void commands_of_many_arguments_run_on_a_fiber(void **state) {
	static const char *const many[] = {
		"MGET",         "MSET",           "MSETNX",      "DEL",        "UNLINK",         "EXISTS",
		"TOUCH",        "WATCH",          "PFCOUNT",     "PFMERGE",    "PFADD a",        "SUBSCRIBE",
		"UNSUBSCRIBE",  "PSUBSCRIBE",     "BITOP AND a", "SSUBSCRIBE", "PUBSUB NUMSUB",  "COMMAND INFO",
		"COMMAND DOCS", "CLIENT LIST ID", "BITFIELD a",  "CONFIG GET", "COMMAND GETKEYS"};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (unsigned i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		if (!is_long_with(c, many[i], 100, "x"))
			fail_msg("%s", many[i]);
	close_world(w, c);
}

static void a_walk_over_all_keys_depends_on_how_many_there_are(void **state) {
	struct client *c;
	struct world *w = debug_world(&c);
	(void)state;
	assert_false(is_long(c, "KEYS *"));
	while (strcmp(ask(c, "DEBUG POPULATE 5000"), "+OK\r\n") != 0) {
	}
	assert_true(is_long(c, "KEYS *"));
	close_world(w, c);
}

static void commands_of_a_value_depend_on_its_size(void **state) {
	static const char *const commands[] = {
		"BITCOUNT a", "BITPOS a 1", "SETBIT a 1 1", "APPEND a b",          "SETRANGE a 1 b", "GETRANGE a 0 1",
		"DUMP a",     "COPY a b",   "RENAME a b",   "BITFIELD a GET u8 0", "EXPIRE a 10",    "PEXPIREAT a 10",
		"PERSIST a",  "GETEX a",    "GETDEL a",     "GETSET a b",          "MOVE a 1"};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (unsigned large = 0; large < 2; large++) {
		expect(c, "SET small v", "+OK\r\n");
		(void)ask(c, large ? "SETRANGE a 1000000 x" : "SET a v");
		for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (is_long(c, commands[i]) != (large != 0))
				fail_msg("%s", commands[i]);
	}
	assert_false(is_long(c, "BITCOUNT small"));
	assert_false(is_long(c, "SETRANGE new 10 x"));
	assert_true(is_long(c, "SETRANGE new 100000000 x"));
	assert_true(is_long(c, "SETBIT new 100000000 1"));
	assert_true(is_long(c, "BITFIELD new SET u8 #100000000 1"));
	close_world(w, c);
}

static void a_transaction_depends_on_its_commands(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "MULTI", "+OK\r\n");
	for (unsigned i = 0; i < 16; i++)
		expect(c, "INCR a", "+QUEUED\r\n");
	assert_false(is_long(c, "EXEC"));
	expect(c, "INCR a", "+QUEUED\r\n");
	assert_true(is_long(c, "EXEC"));
	expect(c, "DISCARD", "+OK\r\n");
	expect(c, "MULTI", "+OK\r\n");
	expect(c, "LCS a b", "+QUEUED\r\n");
	assert_true(is_long(c, "EXEC"));
	close_world(w, c);
}

static void a_message_depends_on_the_subscriptions(void **state) {
	struct client *c;
	char text[700] = "PSUBSCRIBE ";
	(void)state;
	struct world *w = open_world(NULL, &c);
	struct client *listener = join(w, c);
	assert_false(is_long(c, "PUBLISH c m"));
	memset(text + strlen(text), '?', 600);
	(void)ask(listener, text);
	assert_true(is_long(c, "PUBLISH c m"));
	client_free(listener);
	close_world(w, c);
}

static void a_transaction_depends_on_the_values_that_it_replies(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "MULTI", "+OK\r\n");
	expect(c, "GET a", "+QUEUED\r\n");
	expect(c, "EXPIRE a 10", "+QUEUED\r\n");
	expect(c, "SET a b GET", "+QUEUED\r\n");
	assert_false(is_long(c, "EXEC"));
	expect(c, "DISCARD", "+OK\r\n");
	(void)ask(c, "SETRANGE a 1000000 x");
	static const char *const commands[] = {"GET a", "EXPIRE a 10", "SET a b GET"};
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		expect(c, "MULTI", "+OK\r\n");
		expect(c, commands[i], "+QUEUED\r\n");
		assert_true(is_long(c, "EXEC"));
		expect(c, "DISCARD", "+OK\r\n");
	}
	close_world(w, c);
}

/* The flag would cost each GET and each SET. */
static void only_get_and_set_have_a_condition_without_the_flag(void **state) {
	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		assert_true(command_set.rows[i].is_long == NULL || (command_set.rows[i].flags & CMD_LONG) ||
			    i == COMMAND_GET || i == COMMAND_SET);
	for (size_t i = 0; i < command_set.subcommand_count; i++)
		assert_true(command_set.subcommands[i].is_long == NULL ||
			    (command_set.subcommands[i].flags & CMD_LONG));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_of_few_arguments_run_in_one_piece),
		cmocka_unit_test(commands_of_many_arguments_run_on_a_fiber),
		cmocka_unit_test(a_walk_over_all_keys_depends_on_how_many_there_are),
		cmocka_unit_test(commands_of_a_value_depend_on_its_size),
		cmocka_unit_test(a_transaction_depends_on_its_commands),
		cmocka_unit_test(a_message_depends_on_the_subscriptions),
		cmocka_unit_test(a_transaction_depends_on_the_values_that_it_replies),
		cmocka_unit_test(only_get_and_set_have_a_condition_without_the_flag),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
