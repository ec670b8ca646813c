/* Requirements between keys. */
#include <string.h>

#include "atomdb/daemon/config.h"
#include "atomdb/util/error.h"
#include "daemon/config_rules.h"
#include "harness.h"

static void open_tenancy_stays_on_this_host(void **state) {
	struct config c = {.tenants_config.open = true};
	(void)state;
	assert_true(config_allows_address(&c, "127.0.0.1:8080"));
	assert_true(config_allows_address(&c, "[::1]:8080"));
	assert_true(config_allows_address(&c, "unix:/run/a.sock"));
	assert_false(config_allows_address(&c, "0.0.0.0:8080"));
	assert_false(config_allows_address(&c, "192.0.2.1:8080"));
	assert_false(config_allows_address(&c, "[::]:8080"));
	c.open_to_network = true;
	assert_true(config_allows_address(&c, "0.0.0.0:8080"));
	c.open_to_network = c.tenants_config.open = false;
	assert_true(config_allows_address(&c, "0.0.0.0:8080"));
}

/* Returns the reason for which a configuration is refused, or "". */
static const char *refusal(const char *text) {
	static struct config_error error;
	struct config *c = NULL;
	error.text[0] = '\0';
	int result = config_parse(text, strlen(text), "f", NULL, &c, &error);
	assert_int_equal(result, *error.text != '\0' ? ATOMDB_E_SYNTAX : 0);
	config_free(c);
	return error.text;
}

static void a_conflict_names_the_line_of_the_key(void **state) {
	(void)state;
	assert_string_equal(refusal("resp: { listen = [ \"127.0.0.1:1\" ]; };"), "");
	assert_string_equal(
		refusal("tenancy = \"open\";\nresp: {\n listen = [ \"0.0.0.0:1\" ];\n};"),
		"f:3: with tenancy \"open\" every client that reaches 0.0.0.0:1 can open a tenant: set tenancy to "
		"\"listed\", or resp.open_to_network to true if this is intended");
	assert_string_equal(refusal("resp: { listen = [ \"0.0.0.0:1\" ]; open_to_network = true; };"), "");
	assert_string_equal(refusal("tenancy = \"listed\"; resp: { listen = [ \"0.0.0.0:1\" ]; };"), "");
}

static void an_anonymous_tenant_must_exist(void **state) {
	(void)state;
	assert_string_equal(refusal("tenancy = \"listed\";\nanonymous = \"a\";"),
			    "f:2: anonymous names 'a', which is not among the tenants");
	assert_string_equal(refusal("tenancy = \"listed\"; anonymous = \"a\"; tenants: ( { name = \"a\"; } );"), "");
	/* Open tenancy creates it. */
	assert_string_equal(refusal("tenancy = \"open\"; anonymous = \"a\";"), "");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_tenancy_stays_on_this_host),
		cmocka_unit_test(a_conflict_names_the_line_of_the_key),
		cmocka_unit_test(an_anonymous_tenant_must_exist),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
