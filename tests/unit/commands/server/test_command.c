/* The table of commands, and COMMAND. */
#include <ctype.h>
#include <time.h>

#include "world.h"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"

static void test_every_name_is_found(void **state) {
	struct command_index *index = calloc(1, sizeof(*index));
	(void)state;
	assert_non_null(index);
	command_index_build(index, &command_set);
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		const struct command *row = &command_set.rows[i];
		char name[64];
		size_t n = strlen(row->name);
		assert_int_equal(row->id, i);
		assert_non_null(row->run);
		assert_in_range(n, 1, sizeof(name) - 2);
		assert_ptr_equal(command_index_find(index, slice_of(row->name)), row);
		for (size_t k = 0; k < n; k++)
			name[k] = (char)(k % 2 ? row->name[k] : toupper((unsigned char)row->name[k]));
		assert_ptr_equal(command_index_find(index, (struct slice){name, n}), row);
		assert_ptr_equal(command_find(&command_set, (struct slice){name, n}), row);
		/* Similar, but different. */
		assert_ptr_not_equal(command_index_find(index, (struct slice){name, n - 1}), row);
		name[n] = 'x';
		assert_null(command_index_find(index, (struct slice){name, n + 1}));
		for (size_t k = 0; k < n; k++) {
			char was = name[k];
			name[k] = (char)(was ^ 0x10);
			const struct command *found = command_index_find(index, (struct slice){name, n});
			assert_ptr_equal(found, command_find(&command_set, (struct slice){name, n}));
			name[k] = was;
		}
	}
	free(index);
}

static void test_rows_are_consistent(void **state) {
	(void)state;
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		const struct command *row = &command_set.rows[i];
		size_t count;
		const struct command *sub = command_subcommands(&command_set, row, &count);
		assert_int_equal((row->flags & CMD_PARENT) != 0, count != 0);
		assert_true(row->arity != 0);
		if (row->first_key != 0) {
			assert_true(row->key_flags != 0);
			assert_true(row->key_step >= 1);
			/* The arity guarantees a key, on which handlers rely. */
			assert_true(abs(row->arity) > row->first_key || (row->key_flags & KEY_NOT_KEY));
		}
		for (size_t k = 0; k < count; k++) {
			size_t prefix = strlen(row->name);
			assert_int_equal(sub[k].id, i);
			assert_memory_equal(sub[k].name, row->name, prefix);
			assert_int_equal(sub[k].name[prefix], '|');
			assert_ptr_equal(command_find_subcommand(&command_set, row, slice_of(sub[k].name + prefix + 1)),
					 &sub[k]);
		}
		assert_null(command_find_subcommand(&command_set, row, SLICE("none")));
	}
}

static void test_command(void **state) {
	static const struct exchange table[] = {
		{"COMMAND INFO get none config|get",
		 "*3\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@"
		 "string\r\n"
		 "+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n"
		 "$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n"
		 "$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n"
		 "$5\r\nlimit\r\n:0\r\n*0\r\n$-1\r\n*10\r\n$10\r\nconfig|get\r\n:-3\r\n*4\r\n+admin\r\n+noscript\r\n"
		 "+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n*3\r\n+@admin\r\n+@slow\r\n+@dangerous\r\n*0\r\n*0\r\n*"
		 "0\r\n"},
		{"COMMAND GETKEYS get a", "*1\r\n$1\r\na\r\n"},
		{"COMMAND GETKEYSANDFLAGS get a", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"},
		{"COMMAND GETKEYSANDFLAGS set a b get", "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n"},
		{"COMMAND GETKEYS set a b EX 10", "*1\r\n$1\r\na\r\n"},
		{"COMMAND GETKEYS mset a b c d", "*2\r\n$1\r\na\r\n$1\r\nc\r\n"},
		{"COMMAND GETKEYS mset a b c", "*2\r\n$1\r\na\r\n$1\r\nc\r\n"},
		{"COMMAND GETKEYS del a b c", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
		{"COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command\r\n"},
		{"COMMAND GETKEYS none b", "-ERR Invalid command specified\r\n"},
		{"COMMAND GETKEYS ping b", "-ERR The command has no key arguments\r\n"},
		{"COMMAND GETKEYS client list", "-ERR The command has no key arguments\r\n"},
		{"COMMAND GETKEYS client none", "-ERR Invalid command specified\r\n"},
		{"COMMAND LIST FILTERBY PATTERN getse*", "*1\r\n$6\r\ngetset\r\n"},
		{"COMMAND LIST FILTERBY PATTERN config|*",
		 "*5\r\n$10\r\nconfig|get\r\n$11\r\nconfig|help\r\n$16\r\nconfig|resetstat\r\n$14\r\nconfig|rewrite\r\n"
		 "$10\r\nconfig|set\r\n"},
		{"COMMAND LIST FILTERBY ACLCAT none", "*0\r\n"},
		{"COMMAND LIST FILTERBY MODULE none", "*0\r\n"},
		{"COMMAND LIST FILTERBY bogus x", SYNTAX},
		{"COMMAND LIST FILTERBY", SYNTAX},
		{"COMMAND LIST bogus", SYNTAX},
		{"COMMAND DOCS none", "*0\r\n"},
		{"COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command\r\n"},
		{"COMMAND bogus", "-ERR unknown subcommand 'bogus'. Try COMMAND HELP.\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char want[32];
	(void)state;
	EXPECT_ALL(c, table);
	snprintf(want, sizeof(want), ":%u\r\n", (unsigned)COMMAND_COUNT);
	expect(c, "COMMAND COUNT", want);
	snprintf(want, sizeof(want), "*%u\r\n*10\r\n$4\r\nauth", (unsigned)COMMAND_COUNT);
	expect_part(c, "COMMAND", want);
	expect_part(c, "COMMAND INFO", want);
	expect_part(c, "COMMAND INFO set",
		    "$5\r\nnotes\r\n$48\r\nRW and ACCESS due to the optional `GET` argument\r\n");
	expect_part(c, "COMMAND DOCS", "$11\r\nclient|list\r\n*12\r\n$7\r\nsummary\r\n");
	expect_part(c, "COMMAND LIST FILTERBY ACLCAT string", "$5\r\nsetnx\r\n");
	assert_null(strstr(ask(c, "COMMAND LIST FILTERBY ACLCAT string"), "ping"));
	expect_part(c, "COMMAND HELP", "+COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n");
	ask(c, "HELLO 3");
	expect_part(c, "COMMAND DOCS get", "%1\r\n$3\r\nget\r\n%5\r\n");
	expect_part(c, "COMMAND INFO get", "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n");
	expect_part(c, "COMMAND INFO none", "*1\r\n_\r\n");
	close_world(w, c);
}

#define MANY 20000

/* Measures the CPU time of a command with many arguments, whose reply is dropped. */
static double cost(struct client *c, const struct slice *command, uint32_t words, struct slice argument) {
	struct slice *argv = calloc(MANY, sizeof(*argv));
	assert_non_null(argv);
	for (uint32_t i = 0; i < MANY; i++)
		argv[i] = i < words ? command[i] : argument;
	clock_t begin = clock();
	client_run(c, argv, MANY);
	clock_t spent = clock() - begin;
	free(argv);
	return (double)spent;
}

/* The second half of the arguments is unreadable: reading it raises SIGSEGV. */
static void run_beyond(struct client *c, const struct slice *command, uint32_t words, struct slice argument) {
	struct slice argv[200];
	for (uint32_t i = 0; i < 200; i++)
		argv[i] = i < words ? command[i] : i < 100 ? argument : (struct slice){(const char *)8, argument.len};
	client_run(c, argv, 200);
}

static void test_loops_end_with_the_writer(void **state) {
	static const struct {
		struct slice command[4];
		uint32_t words;
		struct slice argument;
	} table[] = {
		{{SLICE("COMMAND"), SLICE("INFO")}, 2, SLICE("get")},
		{{SLICE("PUBSUB"), SLICE("NUMSUB")}, 2, SLICE("channel")},
		{{SLICE("PUBSUB"), SLICE("SHARDNUMSUB")}, 2, SLICE("channel")},
		{{SLICE("COMMAND"), SLICE("GETKEYS"), SLICE("DEL")}, 3, SLICE("a-key-of-some-length")},
		{{SLICE("MGET")}, 1, SLICE("key")},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		writer_init(&c->writer, &c->out, 200);
		run_beyond(c, table[i].command, table[i].words, table[i].argument);
		assert_true(c->writer.failed);
	}
	/* This command looks up all names first. */
	struct slice docs[] = {SLICE("COMMAND"), SLICE("DOCS")};
	for (unsigned muted = 0; muted < 2; muted++) {
		writer_init(&c->writer, &c->out, 200);
		c->writer.muted = muted;
		double unknown = cost(c, docs, 2, SLICE("nosuch"));
		assert_true(cost(c, docs, 2, SLICE("config")) < 5 * unknown + CLOCKS_PER_SEC / 100);
		assert_int_equal(c->writer.failed, !muted);
	}
	writer_init(&c->writer, &c->out, (size_t)1 << 30);
	close_world(w, c);
}

/* A transaction runs completely even if its client cannot take the replies. */
static void test_transaction_beyond_the_output_limit(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k 0123456789", OK);
	expect(c, "MULTI", OK);
	for (unsigned i = 0; i < 10; i++)
		expect(c, "GET k", "+QUEUED\r\n");
	expect(c, "SET last 1", "+QUEUED\r\n");
	writer_init(&c->writer, &c->out, 60);
	ask(c, "EXEC");
	assert_true(c->writer.failed);
	writer_init(&c->writer, &c->out, (size_t)1 << 30);
	expect(c, "GET last", "$1\r\n1\r\n");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_is_found),
		cmocka_unit_test(test_rows_are_consistent),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_loops_end_with_the_writer),
		cmocka_unit_test(test_transaction_beyond_the_output_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
