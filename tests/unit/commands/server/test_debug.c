/* DEBUG, without its digests. */
#include "world.h"

#define OK       "+OK\r\n"
#define INTEGER  "-ERR value is not an integer or out of range\r\n"
#define POSITIVE "-ERR value is out of range, must be positive\r\n"

static void test_debug_must_be_enabled_by_the_operator(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect_part(c, "DEBUG POPULATE 1", "-ERR DEBUG command not allowed. If the enable-debug-command option is");
	expect(c, "DBSIZE", ":0\r\n");
	close_world(w, c);
}

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"DEBUG bogus",
		 "-ERR unknown subcommand or wrong number of arguments for 'bogus'. Try DEBUG HELP.\r\n"},
		{"DEBUG POPULATE",
		 "-ERR unknown subcommand or wrong number of arguments for 'POPULATE'. Try DEBUG HELP.\r\n"},
		{"DEBUG ERROR CODE_text", "-CODE text\r\n"},
		{"DEBUG RELOAD NOSAVE merge", OK},
		{"DEBUG RELOAD bogus", "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.\r\n"},
		{"DEBUG OBJECT none", "-ERR no such key\r\n"},
		{"DEBUG PANIC", "-ERR DEBUG PANIC is not possible here\r\n"},
		{"DEBUG SET-ACTIVE-EXPIRE 0", OK},
		{"DEBUG PROTOCOL string", "$11\r\nHello World\r\n"},
		{"DEBUG PROTOCOL integer", ":12345\r\n"},
		{"DEBUG PROTOCOL map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n"},
		{"DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command\r\n"},
		{"DEBUG PROTOCOL bogus",
		 "-ERR Wrong protocol type name. Please use one of the following: "
		 "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false\r\n"},
	};
	struct client *c;
	struct world *w = debug_world(&c);
	(void)state;
	EXPECT_ALL(c, table);
	ask(c, "HELLO 3");
	expect(c, "DEBUG PROTOCOL map", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n");
	expect(c, "DEBUG PROTOCOL null", "_\r\n");
	expect(c, "DEBUG PROTOCOL push",
	       ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push reply\r\n");
	close_world(w, c);
}

static void test_populate_makes_the_keys_that_are_missing(void **state) {
	static const struct exchange table[] = {
		{"SET key:1 mine", OK},
		{"DEBUG POPULATE 3000", OK},
		{"DBSIZE", ":3000\r\n"},
		{"GET key:1", "$4\r\nmine\r\n"},
		{"GET key:2999", "$10\r\nvalue:2999\r\n"},
		{"DEBUG POPULATE 1 p 3", OK},
		{"GET p:0", "$3\r\nval\r\n"},
		{"DEBUG POPULATE 1 q 9", OK},
		{"STRLEN q:0", ":9\r\n"},
		{"DEBUG POPULATE 0 r", OK},
		{"DEBUG POPULATE -1 r", POSITIVE},
		{"DEBUG POPULATE 1 r x", POSITIVE},
		{"DEBUG POPULATE 1 r 536870913", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
		{"MULTI", OK},
		{"DEBUG POPULATE 1025 r", "+QUEUED\r\n"},
		{"DEBUG POPULATE 1024 s", "+QUEUED\r\n"},
		{"EXEC", "*2\r\n-ERR DEBUG POPULATE of so much is not possible inside a transaction\r\n" OK},
		{"DBSIZE", ":4026\r\n"},
	};
	struct client *c;
	struct world *w = debug_world(&c);
	(void)state;
	EXPECT_ALL(c, table);
	close_world(w, c);
}

static void test_sleep_holds_the_clients_of_the_tenant(void **state) {
	struct client *c;
	struct world *w = debug_world(&c);
	struct client *other = join(w, c), *foreign = stranger(w, c->session.env->worker);
	(void)state;
	expect(c, "DEBUG SLEEP 0", OK);
	expect(c, "DEBUG SLEEP x", OK);
	expect(c, "DEBUG SLEEP 0.1", "");
	assert_int_equal(c->outcome, OUTCOME_BLOCKED);
	expect(other, "GET k", "");
	assert_int_equal(other->outcome, OUTCOME_BLOCKED);
	expect(foreign, "GET k", "$-1\r\n");
	world_pass(w, 100);
	expect(c, "DEBUG SLEEP 0.1", OK);
	expect(other, "GET k", "$-1\r\n");
	client_free(other);
	client_free(foreign);
	close_world(w, c);
}

static void test_debug_object_shows_the_length_of_a_dump(void **state) {
	struct client *c;
	struct world *w = debug_world(&c);
	(void)state;
	expect(c, "SET k hello", OK);
	expect_part(c, "DEBUG OBJECT k", "encoding:embstr serializedlength:6 lru:");
	expect(c, "SET k 1", OK);
	expect_part(c, "DEBUG OBJECT k", "encoding:int serializedlength:2 lru:");
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_must_be_enabled_by_the_operator),
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_populate_makes_the_keys_that_are_missing),
		cmocka_unit_test(test_sleep_holds_the_clients_of_the_tenant),
		cmocka_unit_test(test_debug_object_shows_the_length_of_a_dump),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
