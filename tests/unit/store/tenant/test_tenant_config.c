#include <stdio.h>

#include "atomdb/store/tenant_config.h"
#include "atomdb/util/error.h"
#include "harness.h"

static struct tenant_config named(const char *name, const char *first, const char *second) {
	struct tenant_config c = {.secret_count = first == NULL ? 0 : second == NULL ? 1 : 2};
	snprintf(c.name, sizeof c.name, "%s", name);
	if (first != NULL)
		secret_digest(slice_of(first), &c.secrets[0]);
	if (second != NULL)
		secret_digest(slice_of(second), &c.secrets[1]);
	return c;
}

static int check(const struct tenant_config *list, size_t count, const struct secret *admin) {
	return tenant_config_check(&(struct tenants_config){.tenants = list, .tenant_count = count, .admin = admin});
}

static void test_tenants_that_differ_are_accepted(void **state) {
	const struct tenant_config list[] = {named("shop", "s1", "s2"), named("blog", "b1", NULL),
					     named("anonymous", NULL, NULL), named("other", NULL, NULL)};
	struct secret admin;
	(void)state;
	secret_digest(SLICE("admin"), &admin);
	assert_int_equal(check(NULL, 0, NULL), 0);
	assert_int_equal(check(NULL, 0, &admin), 0);
	assert_int_equal(check(list, 4, NULL), 0);
	assert_int_equal(check(list, 4, &admin), 0);
}

static void test_two_tenants_of_one_name_are_refused(void **state) {
	const struct tenant_config list[] = {named("shop", "s", NULL), named("blog", "b", NULL),
					     named("shop", "other", NULL)};
	(void)state;
	assert_int_equal(check(list, 2, NULL), 0);
	assert_int_equal(check(list, 3, NULL), ATOMDB_E_RANGE);
}

static void test_a_secret_opens_one_tenant(void **state) {
	const struct tenant_config twice = named("shop", "s", "s"),
				   first[] = {named("a", "x", "s"), named("b", "s", "y")};
	(void)state;
	assert_int_equal(check(&twice, 1, NULL), ATOMDB_E_RANGE);
	assert_int_equal(check(first, 2, NULL), ATOMDB_E_RANGE);
}

static void test_the_operators_secret_is_no_tenants(void **state) {
	const struct tenant_config list[] = {named("a", "x", "s"), named("b", "y", NULL)};
	struct secret admin;
	(void)state;
	secret_digest(SLICE("s"), &admin);
	assert_int_equal(check(list, 2, &admin), ATOMDB_E_RANGE);
	assert_int_equal(check(&list[1], 1, &admin), 0);
}

/* The second secret is not compared if the tenant has only one. */
static void test_secrets_that_are_not_used_do_not_count(void **state) {
	struct tenant_config list[] = {named("a", "x", NULL), named("b", "y", NULL)};
	(void)state;
	list[0].secrets[1] = list[1].secrets[0];
	assert_int_equal(check(list, 2, NULL), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tenants_that_differ_are_accepted),
		cmocka_unit_test(test_two_tenants_of_one_name_are_refused),
		cmocka_unit_test(test_a_secret_opens_one_tenant),
		cmocka_unit_test(test_the_operators_secret_is_no_tenants),
		cmocka_unit_test(test_secrets_that_are_not_used_do_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
