/* Secrets in a configuration. The oracle is libconfig without marks. */
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/daemon/config_fields.h"
#include "atomdb/util/buffer.h"
#include "daemon/config_reader.h"
#include "daemon/config_secret.h"
#include "harness.h"

static char *mark(const char *text) {
	struct buffer out;
	buffer_init(&out);
	assert_int_equal(config_mark_secrets(text, strlen(text), &out), 0);
	assert_int_equal(out.data[out.len - 1], '\0');
	return out.data;
}

static config_t parse(const char *text) {
	config_t c;
	config_init(&c);
	if (config_read_string(&c, text) != CONFIG_TRUE)
		fail_msg("line %d: %s: %s", config_error_line(&c), config_error_text(&c), text);
	return c;
}

/* Expects the setting at `path` to have the secret that libconfig reads from the original text. */
static void expect_same(const char *text, const char *path) {
	char *marked = mark(text), found[256];
	config_t wanted = parse(text), got = parse(marked);
	const config_setting_t *a = config_lookup(&wanted, path), *b = config_lookup(&got, path);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(config_setting_source_line(a), config_setting_source_line(b));
	const struct config_reader r = {.text = text, .text_len = strlen(text)};
	const char *plain = config_setting_get_string(a);
	size_t len = config_find_secret(&r, config_setting_get_string(b), found, sizeof(found));
	if (len != strlen(plain))
		fail_msg("%zu bytes, not %zu: %s", len, strlen(plain), text);
	assert_memory_equal(found, plain, len);
	if (len > 0)
		assert_null(strstr(marked, plain));
	config_destroy(&wanted);
	config_destroy(&got);
	free(marked);
}

static void secrets_are_what_libconfig_reads(void **state) {
	(void)state;
	expect_same("secret = \"plain\";", "secret");
	expect_same("secret = \"\";", "secret");
	expect_same("secret : \"one\" \"two\"\n\n  \"three\";", "secret");
	expect_same("secret /* = */ = # \"no\"\n // \"no\"\n \"yes\";", "secret");
	expect_same("secret = \"over\ntwo lines\"; x = 1;", "secret");
	expect_same("secret = \"over\ntwo\" \"\\\n\n\";", "secret");
	expect_same("tenants: ( { name = \"a\"; secret = \"s1\"; max_entries = 1; } );", "tenants.[0].secret");
	expect_same("tenants: ( { secrets = ( { secret_file = \"f\"; }, { secret = \"s2\"; }, \"s3\" ); } );",
		    "tenants.[0].secrets.[2]");
	expect_same("tenants: ( { secrets = [ \"s4\", \"s5\" ]; }, { secret = \"s6\"; } );", "tenants.[0].secrets.[1]");
	expect_same("tenants: ( { secrets = [ \"s4\", \"s5\" ]; }, { secret = \"s6\"; } );", "tenants.[1].secret");
}

static void escapes_are_libconfigs(void **state) {
	(void)state;
	char text[64];
	for (int c = 1; c < 256; c++) {
		if (c != '"') {
			snprintf(text, sizeof(text), "secret = \"a\\%c1z\\\\\";", c);
			expect_same(text, "secret");
			snprintf(text, sizeof(text), "secret = \"a%cz\\%c\";", c, c == '\\' ? 'q' : c);
			expect_same(text, "secret");
		}
		snprintf(text, sizeof(text), "secret = \"a\\x%02xz\\x%02Xz\";", (unsigned)c, (unsigned)c);
		expect_same(text, "secret");
	}
	expect_same("secret = \"a\\x00b\";", "secret");
	expect_same("secret = \"\\x\\x4\\xg1\\x4g\";", "secret");
	expect_same("secret = \"\\\"\\\\\\\"\";", "secret");
}

static void other_strings_stay(void **state) {
	(void)state;
	static const char text[] = "# secret = \"no\"\n/* secret = \"no\" */ tenancy = \"listed\";\n"
				   "admin: { secret_file = \"f\"; }; tenants: ( { name = \"secret\"; } );";
	char *marked = mark(text);
	assert_string_equal(marked, text);
	free(marked);
}

static void a_secret_that_is_no_mark_is_taken_as_it_is(void **state) {
	(void)state;
	char found[16];
	struct config_reader r = {.text = NULL};
	assert_int_equal(config_find_secret(&r,
					    "\1"
					    "00000000",
					    found, sizeof(found)),
			 9);
	assert_int_equal(config_find_secret(&r, "longer than sixteen bytes", found, sizeof(found)), 16);
	r = (struct config_reader){.text = "abc", .text_len = 3};
	assert_int_equal(config_find_secret(&r,
					    "\1"
					    "00000007",
					    found, sizeof(found)),
			 0);
	assert_int_equal(config_find_secret(&r,
					    "\1"
					    "00000001",
					    found, sizeof(found)),
			 2);
	assert_int_equal(config_find_secret(&r, "\1", found, sizeof(found)), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_what_libconfig_reads),
		cmocka_unit_test(escapes_are_libconfigs),
		cmocka_unit_test(other_strings_stay),
		cmocka_unit_test(a_secret_that_is_no_mark_is_taken_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
