#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "atomdb/daemon/config.h"
#include "atomdb/util/error.h"
#include "daemon/config_live.h"
#include "harness.h"

static const char file[] = "tenants: ( { name = \"own\"; secret = \"a\"; max_entries = 5; },"
			   "           { name = \"heir\"; secret = \"b\"; } );";

static struct config *load(void) {
	struct config *c = NULL;
	struct config_error error = {""};
	assert_int_equal(config_parse(file, sizeof(file) - 1, "a.conf", NULL, &c, &error), 0);
	return c;
}

static void set(struct config *c, const char *key, const char *value) {
	struct config_error error = {""};
	if (config_change(c, slice_of(key), slice_of(value), &error) != 0)
		fail_msg("%s: %s", key, error.text);
}

static void refused(struct config *c, const char *key, struct slice value, const char *why) {
	struct config_error error = {""};
	assert_int_equal(config_change(c, slice_of(key), value, &error), ATOMDB_E_SYNTAX);
	assert_string_equal(error.text, why);
}

static void keys_are_those_of_the_file(void **state) {
	(void)state;
	struct config *c = load();
	struct config_error error = {""};
	set(c, "resp.max_clients", "12");
	set(c, "MAX_MEMORY", "2G");
	set(c, "log.level", "debug");
	set(c, "tenancy", "listed");
	set(c, "resp.open_to_network", "TRUE");
	set(c, "timeout", "9");
	assert_int_equal(c->settings.max_clients, 12);
	assert_int_equal(c->max_memory, UINT64_C(2) << 30);
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_false(c->tenants_config.open);
	assert_true(c->open_to_network);
	assert_int_equal(c->settings.idle_timeout, 9);
	assert_int_equal(config_change(c, SLICE("colour"), SLICE("red"), &error), -ENOENT);
	assert_int_equal(config_change(c, SLICE("resp"), SLICE("1"), &error), -ENOENT);
	refused(c, "workers", SLICE("2"), "it is read at the start only");
	refused(c, "resp.listen", SLICE("[]"), "it is read at the start only");
	refused(c, "admin.secret_file", SLICE("/x"), "only the configuration file sets it");
	refused(c, "resp.max_clients", SLICE("1x"), "resp.max_clients must be a whole decimal number");
	refused(c, "resp.auth_timeout", SLICE("86401"), "resp.auth_timeout must be from 0 to 86400, not 86401");
	refused(c, "log.level", SLICE("debug\0x"), "a NUL byte is not text");
	assert_int_equal(c->settings.max_clients, 12);
	config_free(c);
}

static void tenants_inherit_what_they_do_not_say(void **state) {
	(void)state;
	struct config *c = load();
	assert_int_equal(c->tenants_config.tenants[1].limits.max_entries, 0);
	set(c, "defaults.max_entries", "30");
	assert_int_equal(c->tenants_config.tenants[1].limits.max_entries, 30);
	assert_int_equal(c->tenants_config.named.max_entries, 30);
	set(c, "defaults.max_entries", "77");
	set(c, "defaults.max_ttl", "60");
	assert_int_equal(c->tenants_config.defaults.max_entries, 77);
	assert_int_equal(c->tenants_config.tenants[0].limits.max_entries, 5);
	assert_int_equal(c->tenants_config.tenants[1].limits.max_entries, 77);
	assert_int_equal(c->tenants_config.tenants[0].limits.max_ttl, 60000);
	config_free(c);
}

static void a_tenant_is_changed_as_the_file_would(void **state) {
	(void)state;
	struct config *c = load();
	struct config_error error = {""};
	struct tenant_config t = {.limits = c->tenants_config.defaults};
	struct secret expected;
	secret_digest(SLICE("new"), &expected);
	assert_int_equal(config_change_tenant(c, NULL, &t, SLICE("Secret"), SLICE("new"), &error), 0);
	assert_int_equal(t.secret_count, 1);
	assert_memory_equal(&t.secrets[0], &expected, sizeof(expected));
	assert_int_equal(config_change_tenant(c, NULL, &t, SLICE("eviction"), SLICE("none"), &error), 0);
	assert_int_equal(t.limits.eviction, EVICTION_NONE);
	assert_int_equal(config_change_tenant(c, NULL, &t, SLICE("name"), SLICE("x"), &error), -ENOENT);
	assert_int_equal(config_change_tenant(c, NULL, &t, SLICE("secrets"), SLICE("x"), &error), -ENOENT);
	assert_int_equal(config_change_tenant(c, NULL, &t, SLICE("secret_file"), SLICE("x"), &error), ATOMDB_E_SYNTAX);
	assert_string_equal(error.text, "secret_file \"x\": a relative path needs $CREDENTIALS_DIRECTORY "
					"(LoadCredential= in the unit)");
	config_free(c);
}

static void what_does_not_go_together_is_refused(void **state) {
	(void)state;
	struct config *c = load();
	struct config_error error = {""};
	assert_int_equal(config_check(c, &error), 0);
	set(c, "tenancy", "listed");
	set(c, "anonymous", "nobody");
	assert_int_equal(config_check(c, &error), ATOMDB_E_SYNTAX);
	assert_string_equal(error.text, "anonymous names 'nobody', which is not among the tenants");
	set(c, "anonymous", "heir");
	assert_int_equal(config_check(c, &error), 0);
	config_free(c);
}

static void set_again(void *context, const char *key, const char *value) {
	set(context, key, value);
}

static void what_is_shown_can_be_set(void **state) {
	(void)state;
	struct config *c = load();
	set(c, "defaults.default_ttl", "7");
	struct config *copy = config_copy(c, 1);
	assert_non_null(copy);
	config_show(c, set_again, copy);
	assert_int_equal(copy->tenants_config.defaults.default_ttl, 7000);
	assert_int_equal(copy->tenants_config.tenant_count, 2);
	assert_int_equal(copy->settings.output_buffer, c->settings.output_buffer);
	config_free(copy);
	config_free(c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_the_file),
		cmocka_unit_test(tenants_inherit_what_they_do_not_say),
		cmocka_unit_test(a_tenant_is_changed_as_the_file_would),
		cmocka_unit_test(what_does_not_go_together_is_refused),
		cmocka_unit_test(what_is_shown_can_be_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
