/* The commands that give values another key or database, OBJECT, and SORT and WAIT with nothing to sort or wait for. */
#include "world.h"

#define OK     "+OK\r\n"
#define NIL    "$-1\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define INDEX  "-ERR DB index is out of range\r\n"
#define SAME   "-ERR source and destination objects are the same\r\n"

static void test_rename(void **state) {
	static const struct exchange table[] = {
		{"RENAME none x", "-ERR no such key\r\n"},
		{"RENAMENX none none", "-ERR no such key\r\n"},
		{"SET a 1 EX 100", OK},
		{"RENAME a a", OK},
		{"RENAMENX a a", ":0\r\n"},
		{"RENAME a b", OK},
		{"TTL b", ":100\r\n"},
		{"EXISTS a", ":0\r\n"},
		{"SET c 2", OK},
		{"RENAMENX b c", ":0\r\n"},
		{"RENAMENX b d", ":1\r\n"},
		{"RENAME d c", OK},
		{"GET c", "$1\r\n1\r\n"},
		{"DBSIZE", ":1\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_databases(void **state) {
	static const struct exchange table[] = {
		{"SET a 1", OK},
		{"MOVE a 0", SAME},
		{"MOVE a 16", INDEX},
		{"MOVE a x", "-ERR value is not an integer or out of range\r\n"},
		{"MOVE none 1", ":0\r\n"},
		{"MOVE a 1", ":1\r\n"},
		{"EXISTS a", ":0\r\n"},
		{"SET a 2", OK},
		{"MOVE a 1", ":0\r\n"},
		{"COPY a a", SAME},
		{"COPY a a DB 1", ":0\r\n"},
		{"COPY a a DB 1 REPLACE", ":1\r\n"},
		{"COPY none b", ":0\r\n"},
		{"COPY a b bogus", SYNTAX},
		{"COPY a b DB", SYNTAX},
		{"COPY a b DB -1", INDEX},
		{"COPY a b", ":1\r\n"},
		{"SWAPDB 0 1", OK},
		{"DBSIZE", ":1\r\n"},
		{"GET a", "$1\r\n2\r\n"},
		{"SELECT 1", OK},
		{"DBSIZE", ":2\r\n"},
		{"SWAPDB x 1", "-ERR invalid first DB index\r\n"},
		{"SWAPDB 1 3000000000", "-ERR invalid second DB index\r\n"},
		{"SWAPDB 1 16", INDEX},
		{"FLUSHDB", OK},
		{"SELECT 0", OK},
		{"GET a", "$1\r\n2\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_object(void **state) {
	static const struct exchange table[] = {
		{"OBJECT ENCODING none", NIL},
		{"OBJECT FREQ none", NIL},
		{"OBJECT REFCOUNT none", NIL},
		{"SET a 1", OK},
		{"OBJECT ENCODING a", "$3\r\nint\r\n"},
		{"OBJECT REFCOUNT a", ":1\r\n"},
		{"APPEND a ''", ":1\r\n"},
		{"OBJECT ENCODING a", "$3\r\nraw\r\n"},
		{"RENAME a b", OK},
		{"OBJECT ENCODING b", "$3\r\nraw\r\n"},
		{"OBJECT FREQ b", ":0\r\n"},
		{"SETBIT bits 1 1", ":0\r\n"},
		{"OBJECT ENCODING bits", "$3\r\nraw\r\n"},
		{"OBJECT bogus", "-ERR unknown subcommand 'bogus'. Try OBJECT HELP.\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	expect_part(c, "OBJECT HELP", "+ENCODING <key>\r\n");
	close_world(w, c);
}

static void test_sort_and_wait(void **state) {
	static const struct exchange table[] = {
		{"SORT none BY x GET # LIMIT 0 1 DESC ALPHA", "*0\r\n"},
		{"SET d 1", OK},
		{"SORT none STORE d", ":0\r\n"},
		{"EXISTS d", ":0\r\n"},
		{"SORT none LIMIT 1", SYNTAX},
		{"SORT none LIMIT a b", "-ERR value is not an integer or out of range\r\n"},
		{"SORT none bogus", SYNTAX},
		{"SET s 1", OK},
		{"SORT s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"COMMAND GETKEYS SORT a GET STORE STORE b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"COMMAND GETKEYS BITOP AND a b c", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
		{"COMMAND GETKEYS OBJECT ENCODING a", "*1\r\n$1\r\na\r\n"},
		{"WAIT 0 0", ":0\r\n"},
		{"WAIT 1 1", ":0\r\n"},
		{"WAIT 0 -1", "-ERR timeout is negative\r\n"},
		{"WAIT 0 x", "-ERR timeout is not an integer or out of range\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_databases),
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_sort_and_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
