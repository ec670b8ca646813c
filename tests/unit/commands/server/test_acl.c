/* ACL: the only user of a tenant, who may run every command. */
#include "world.h"

#define OK      "+OK\r\n"
#define INTEGER "-ERR value is not an integer or out of range\r\n"
#define BITS                                                                                                     \
	"-ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to " \
	"4096\r\n"
#define REFUSED "-ERR AtomDB has no ACL users: a secret opens a tenant, and whoever has it may do everything in it\r\n"

static void test_a_tenant_has_one_user(void **state) {
	static const struct exchange table[] = {
		{"ACL WHOAMI", "$7\r\ndefault\r\n"},
		{"ACL USERS", "*1\r\n$7\r\ndefault\r\n"},
		{"ACL LIST", "*1\r\n$27\r\nuser default on ~* &* +@all\r\n"},
		{"ACL GETUSER nobody", "$-1\r\n"},
		{"ACL GETUSER default",
		 "*12\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$9\r\npasswords\r\n*0\r\n$8\r\ncommands"
		 "\r\n$5\r\n+@all\r\n$4\r\nkeys\r\n$2\r\n~*\r\n$8\r\nchannels\r\n$2\r\n&*\r\n"
		 "$9\r\nselectors\r\n*0\r\n"},
		{"ACL SETUSER me on", REFUSED},
		{"ACL DELUSER default", REFUSED},
		{"ACL LOG", "*0\r\n"},
		{"ACL LOG 5", "*0\r\n"},
		{"ACL LOG reset", OK},
		{"ACL LOG x", INTEGER},
		{"ACL LOG 1 2", "-ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP.\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_categories_list_commands_and_subcommands(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "ACL CAT none", "-ERR Unknown category 'none'\r\n");
	expect(c, "ACL CAT string x",
	       "-ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.\r\n");
	assert_int_equal(strncmp(ask(c, "ACL CAT"), "*21\r\n", 5), 0);
	expect_part(c, "ACL CAT STRING", "$5\r\nsetnx\r\n");
	assert_null(strstr(c->text, "\r\nping\r\n"));
	expect_part(c, "ACL CAT admin", "$10\r\nconfig|set\r\n");
	close_world(w, c);
}

static void test_genpass_rounds_bits_up_to_digits(void **state) {
	static const struct {
		const char *bits;
		size_t digits;
	} table[] = {{"", 64}, {"1", 1}, {"4", 1}, {"5", 2}, {"4095", 1024}, {"4096", 1024}};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char line[32], first[80];
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(line, sizeof(line), "ACL GENPASS %s", table[i].bits);
		const char *digits = strchr(ask(c, line), '\n') + 1;
		assert_int_equal(strspn(digits, "0123456789abcdef"), table[i].digits);
	}
	snprintf(first, sizeof(first), "%s", ask(c, "ACL GENPASS"));
	assert_string_not_equal(ask(c, "ACL GENPASS"), first);
	expect(c, "ACL GENPASS 0", BITS);
	expect(c, "ACL GENPASS 4097", BITS);
	expect(c, "ACL GENPASS x", INTEGER);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tenant_has_one_user),
		cmocka_unit_test(test_categories_list_commands_and_subcommands),
		cmocka_unit_test(test_genpass_rounds_bits_up_to_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
