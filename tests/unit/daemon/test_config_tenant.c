/* The lists of tenants. */
#include <string.h>

#include "atomdb/daemon/config.h"
#include "atomdb/util/error.h"
#include "daemon/config_tenant.h"
#include "harness.h"

static struct config *parse(const char *text) {
	struct config *c = NULL;
	struct config_error error;
	if (config_parse(text, strlen(text), "f", NULL, &c, &error) != 0)
		fail_msg("%s", error.text);
	return c;
}

static void refused(const char *text, const char *why) {
	struct config *c = NULL;
	struct config_error error;
	assert_int_equal(config_parse(text, strlen(text), "f", NULL, &c, &error), ATOMDB_E_SYNTAX);
	assert_string_equal(error.text, why);
}

static void a_secret_is_given_in_one_of_three_ways(void **state) {
	(void)state;
	struct config *c = parse("tenants: ( { name = \"a\"; secret = \"s\"; },"
				 "  { name = \"b\"; secrets = ( \"one\", { secret = \"two\"; } ); },"
				 "  { name = \"c\"; secret_sha256 = "
				 "\"2C26B46B68FFC68FF99B453C1D30413413422D706483BFA0F98A5E886266E7AE\"; } );");
	struct secret foo;
	secret_digest(SLICE("foo"), &foo);
	assert_int_equal(c->tenants_config.tenant_count, 3);
	assert_int_equal(c->tenants_config.tenants[0].secret_count, 1);
	assert_int_equal(c->tenants_config.tenants[1].secret_count, 2);
	assert_memory_equal(c->tenants_config.tenants[2].secrets[0].digest, foo.digest, sizeof(foo.digest));
	config_free(c);
}

static void names_and_secrets_are_unique(void **state) {
	(void)state;
	refused("tenants: ( { name = \"a\"; secret = \"1\"; },\n { name = \"a\"; secret = \"2\"; } );",
		"f:2: this name is also that of line 1");
	refused("tenants: ( { name = \"a\"; secret = \"1\"; },\n { name = \"b\"; secret = \"1\"; } );",
		"f:2: this secret is also that of line 1");
	refused("tenants: ( { name = \"a\"; secrets = ( \"1\", \"1\" ); } );",
		"f:1: this secret is also that of line 1");
}

static void a_tenant_has_a_name_and_a_secret(void **state) {
	(void)state;
	refused("tenants: ( { secret = \"1\"; } );", "f:1: a tenant needs a name");
	refused("tenants: ( { name = \"a\"; } );", "f:1: tenant 'a' has no secret, and is not the anonymous one");
	refused("tenants: ( { name = \"a\"; secrets = ( \"1\", \"2\", \"3\" ); } );",
		"f:1: a tenant has at most 2 secrets");
	refused("tenants: ( { name = \"a\"; secret = \"\"; } );", "f:1: secret must have 1 to 16384 bytes");
	refused("tenants: ( { name = \"a\"; colour = 1; } );", "f:1: a tenant has no key 'colour'");
	refused("tenants: ( \"a\" );", "f:1: tenants must have groups such as { name = \"shop\"; ... }");
}

static void removed_lists_names_that_are_no_tenants(void **state) {
	(void)state;
	struct config *c = parse("removed = ( \"z\", \"b\", \"m\" ); tenants: ( { name = \"a\"; secret = \"1\"; } );");
	assert_true(config_removes(c, "b"));
	assert_true(config_removes(c, "m"));
	assert_true(config_removes(c, "z"));
	assert_false(config_removes(c, "a"));
	assert_false(config_removes(c, ""));
	config_free(c);
	c = parse("");
	assert_false(config_removes(c, "b"));
	config_free(c);
	refused("tenants: ( { name = \"a\"; secret = \"1\"; } );\nremoved = ( \"a\" );",
		"f:2: removed names 'a', which is among the tenants");
	refused("removed = ( \"a b\" );", "f:1: removed must have names of tenants, or \"@opened\"");
	refused("tenancy = \"open\"; removed = ( \"@opened\" );",
		"f:1: removed has \"@opened\", which needs tenancy = \"listed\"");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_given_in_one_of_three_ways),
		cmocka_unit_test(names_and_secrets_are_unique),
		cmocka_unit_test(a_tenant_has_a_name_and_a_secret),
		cmocka_unit_test(removed_lists_names_that_are_no_tenants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
