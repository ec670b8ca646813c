/* The options of the command line over the configuration. */
#include <errno.h>
#include <string.h>

#include "atomdb/daemon/config.h"
#include "atomdb/daemon/daemon_options.h"
#include "harness.h"

static void ports_take_the_place_of_addresses(void **state) {
	const struct daemon_options options = {.port = 7000, .http_port = 7001};
	struct config *c = NULL;
	struct config_error error;
	(void)state;
	assert_int_equal(daemon_load_config(&options, &c, &error), 0);
	assert_int_equal(c->resp_listen.count, 1);
	assert_string_equal(c->resp_listen.text[0], "127.0.0.1:7000");
	assert_true(c->resp_listen.given);
	assert_int_equal(c->settings.port, 7000);
	assert_int_equal(c->http_listen.count, 1);
	assert_string_equal(c->http_listen.text[0], "127.0.0.1:7001");
	config_free(c);
}

static void without_ports_the_addresses_stay(void **state) {
	const struct daemon_options options = {.http_port = 7001};
	struct config *c = NULL;
	struct config_error error;
	(void)state;
	assert_int_equal(daemon_load_config(&options, &c, &error), 0);
	assert_string_equal(c->resp_listen.text[0], "127.0.0.1:8080");
	assert_false(c->resp_listen.given);
	assert_int_equal(c->settings.port, 8080);
	config_free(c);
}

static void a_file_that_is_missing_is_an_error(void **state) {
	const struct daemon_options options = {.config_file = "/nonexistent/atomdb.conf", .port = 7000};
	struct config *c = NULL;
	struct config_error error;
	(void)state;
	assert_int_equal(daemon_load_config(&options, &c, &error), -ENOENT);
	assert_null(c);
	assert_non_null(strstr(error.text, "/nonexistent/atomdb.conf: "));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_take_the_place_of_addresses),
		cmocka_unit_test(without_ports_the_addresses_stay),
		cmocka_unit_test(a_file_that_is_missing_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
