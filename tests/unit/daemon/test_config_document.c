/* The commented file, and the keys that need a restart. */
#include <stdlib.h>
#include <string.h>

#include "atomdb/daemon/config.h"
#include "atomdb/daemon/config_document.h"
#include "harness.h"

static char *document(bool active) {
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);
	assert_non_null(stream);
	config_document(stream, active);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static struct config *parse(const char *text) {
	struct config *c = NULL;
	struct config_error error;
	if (config_parse(text, strlen(text), "f", NULL, &c, &error) != 0)
		fail_msg("%s", error.text);
	return c;
}

struct changes {
	char keys[1024];
};

static void add(void *context, const char *key) {
	struct changes *c = context;
	size_t len = strlen(c->keys);
	snprintf(c->keys + len, sizeof(c->keys) - len, "%s;", key);
}

static void the_document_is_the_defaults(void **state) {
	(void)state;
	char *active = document(true), *commented = document(false);
	struct config *defaults = parse(""), *read = parse(active), *empty = parse(commented);
	struct changes changes = {""};
	assert_int_equal(config_needs_restart(defaults, read, add, &changes), 0);
	assert_string_equal(changes.keys, "");
	assert_int_equal(read->settings.max_clients, defaults->settings.max_clients);
	assert_int_equal(empty->settings.max_clients, defaults->settings.max_clients);
	/* All keys are commented out in the first document, none in the second. */
	assert_non_null(strstr(commented, "\n\t//listen = "));
	assert_null(strstr(active, "\n\t//listen = "));
	assert_non_null(strstr(active, "\n\tlisten = "));
	config_free(defaults);
	config_free(read);
	config_free(empty);
	free(active);
	free(commented);
}

static void every_line_of_help_is_a_comment(void **state) {
	(void)state;
	char *text = document(false);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		line += strspn(line, "\t");
		assert_true(*line == '#' || strncmp(line, "//", 2) == 0 || strcmp(line, "};") == 0 ||
			    line[strlen(line) - 1] == '{');
	}
	free(text);
}

static void only_keys_that_need_a_restart_are_told(void **state) {
	(void)state;
	struct config *running = parse(""),
		      *wanted = parse(
			      "workers = 3; log: { level = \"debug\"; };"
			      "resp: { listen = [ \"127.0.0.1:1\" ]; max_clients = 5; socket_mode = \"0600\"; };");
	struct changes changes = {""};
	unsigned count = config_needs_restart(running, wanted, add, &changes);
	assert_non_null(strstr(changes.keys, "workers;"));
	assert_non_null(strstr(changes.keys, "resp.listen;"));
	assert_non_null(strstr(changes.keys, "resp.socket_mode;"));
	assert_null(strstr(changes.keys, "max_clients"));
	assert_null(strstr(changes.keys, "level"));
	assert_int_equal(count, 3);
	config_free(running);
	config_free(wanted);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document_is_the_defaults),
		cmocka_unit_test(every_line_of_help_is_a_comment),
		cmocka_unit_test(only_keys_that_need_a_restart_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
