/* The table of keys. */
#include <string.h>
#include <syslog.h>

#include "atomdb/daemon/config.h"
#include "daemon/config_option.h"
#include "harness.h"

static void finds_a_row_by_section_and_key(void **state) {
	(void)state;
	for (size_t i = 0; i < option_count; i++)
		assert_ptr_equal(option_find(option_rows[i].section, option_rows[i].key), &option_rows[i]);
	assert_non_null(option_find("resp", "max_clients"));
	assert_null(option_find("", "max_clients"));
	assert_null(option_find("resp", "max_client"));
	assert_null(option_find("http", "max_clients"));
	assert_true(option_is_section("resp"));
	assert_false(option_is_section("workers"));
	/* The top level has no section name. */
	assert_false(option_is_section(""));
}

static void values_are_shown_in_the_words_of_the_file(void **state) {
	struct config c = {.tenants_config.open = true, .log_level = LOG_NOTICE, .start_empty = false};
	(void)state;
	static const struct {
		const char *section, *key, *word;
	} cases[] = {{"", "tenancy", "open"}, {"log", "level", "notice"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct option_row *row = option_find(cases[i].section, cases[i].key);
		assert_non_null(row);
		assert_string_equal(option_choice_text(row, (const char *)&c + row->offset), cases[i].word);
	}
	c.tenants_config.open = false;
	const struct option_row *row = option_find("", "tenancy");
	assert_string_equal(option_choice_text(row, (const char *)&c + row->offset), "listed");
}

static void names_of_tenants_are_short_and_plain(void **state) {
	char name[TENANT_NAME_MAX + 2];
	(void)state;
	memset(name, 'n', sizeof(name));
	name[TENANT_NAME_MAX] = '\0';
	assert_true(config_name_valid(name));
	name[TENANT_NAME_MAX] = 'n';
	name[TENANT_NAME_MAX + 1] = '\0';
	assert_false(config_name_valid(name));
	assert_true(config_name_valid("a.B-9_z"));
	assert_false(config_name_valid(""));
	assert_false(config_name_valid("a b"));
	assert_false(config_name_valid("a/b"));
	assert_false(config_name_valid("@opened"));
	assert_false(config_name_valid("\xc3\xa9"));
}

static void each_limit_of_a_tenant_is_its_own_or_not(void **state) {
	struct tenant_config t = {.name = "t"};
	unsigned noted = 0;
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		if (strcmp(row->section, "defaults") != 0)
			continue;
		assert_false(option_is_own(&t, row));
		option_note_own(&t, row);
		assert_true(option_is_own(&t, row));
		noted++;
	}
	/* Each row of the defaults has its own bit. */
	assert_int_equal(__builtin_popcount(t.own), noted);
}

static void a_limit_is_read_into_the_tenant_that_has_it(void **state) {
	static const char text[] = "defaults: { max_memory = \"2M\"; };"
				   "tenants: ( { name = \"a\"; secret = \"1\"; max_memory = \"1M\"; },"
				   "           { name = \"b\"; secret = \"2\"; } );";
	struct config *c = NULL;
	struct config_error error;
	(void)state;
	assert_int_equal(config_parse(text, sizeof(text) - 1, "f", NULL, &c, &error), 0);
	assert_int_equal(c->tenants_config.tenants[0].limits.max_memory, 1 << 20);
	assert_int_equal(c->tenants_config.tenants[0].limits.sources[KEY_LIMIT_MEMORY], LIMIT_IN_TENANT);
	assert_int_equal(c->tenants_config.tenants[1].limits.max_memory, 2 << 20);
	assert_int_equal(c->tenants_config.tenants[1].limits.sources[KEY_LIMIT_MEMORY], LIMIT_IN_DEFAULTS);
	config_free(c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_row_by_section_and_key),
		cmocka_unit_test(values_are_shown_in_the_words_of_the_file),
		cmocka_unit_test(names_of_tenants_are_short_and_plain),
		cmocka_unit_test(each_limit_of_a_tenant_is_its_own_or_not),
		cmocka_unit_test(a_limit_is_read_into_the_tenant_that_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
