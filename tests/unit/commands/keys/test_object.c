/* OBJECT. */
#include "world.h"

#define OK  "+OK\r\n"
#define NIL "$-1\r\n"

static void test_object_describes_a_value(void **state) {
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

static void test_object_does_not_count_as_a_use(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k v", OK);
	expect(c, "OBJECT IDLETIME k", ":0\r\n");
	world_pass(w, 3 * 262144);
	expect(c, "OBJECT ENCODING k", "$6\r\nembstr\r\n");
	/* The idle time is a lower bound, in steps of 262.144 seconds. */
	expect(c, "OBJECT IDLETIME k", ":524\r\n");
	expect(c, "GET k", "$1\r\nv\r\n");
	expect(c, "OBJECT IDLETIME k", ":0\r\n");
	expect(c, "OBJECT IDLETIME none", NIL);
	close_world(w, c);
}

static void test_encodings_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"SET k 9223372036854775807", OK},
		{"OBJECT ENCODING k", "$3\r\nint\r\n"},
		{"SET k 9223372036854775808", OK},
		{"OBJECT ENCODING k", "$6\r\nembstr\r\n"},
		{"SET k 01", OK},
		{"OBJECT ENCODING k", "$6\r\nembstr\r\n"},
		{"SET k 12345678901234567890123456789012345678901234", OK},
		{"OBJECT ENCODING k", "$6\r\nembstr\r\n"},
		{"SET k 123456789012345678901234567890123456789012345", OK},
		{"OBJECT ENCODING k", "$3\r\nraw\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_describes_a_value),
		cmocka_unit_test(test_object_does_not_count_as_a_use),
		cmocka_unit_test(test_encodings_are_those_of_redis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
