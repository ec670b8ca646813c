#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "atomdb/daemon/journal.h"
#include "harness.h"

#define SECOND UINT64_C(1000000000)

static void expect(const struct log_event *event, const char *expected) {
	char line[JOURNAL_MESSAGE_MAX];
	size_t len = journal_render(event, line);
	assert_string_equal(line, expected);
	assert_int_equal(len, strlen(expected));
}

static void events_are_rendered(void **state) {
	(void)state;
	expect(&(struct log_event){.id = LOG_EVENT_STARTED}, "AtomDB is ready");
	expect(&(struct log_event){.id = LOG_EVENT_LISTENING, .address = "127.0.0.1:8080"},
	       "Listening: 127.0.0.1:8080");
	expect(&(struct log_event){.id = LOG_EVENT_AUTH_FAILED, .tenant = "shop", .client = "127.0.0.1:4000"},
	       "Authentication failed: tenant shop, client 127.0.0.1:4000");
	expect(&(struct log_event){.id = LOG_EVENT_ACCEPT_FAILED, .error = -EMFILE},
	       "Cannot accept a connection: Too many open files");
	expect(
		&(struct log_event){
			.id = LOG_EVENT_PROTOCOL_ERROR, .client = "c", .bytes = SLICE("GET / \r\n"), .detail = "d"},
		"Protocol error; client closed: client c, d, sent \"GET / \\x0d\\x0a\"");
}

static void hostile_bytes_are_escaped_and_cut(void **state) {
	(void)state;
	expect(&(struct log_event){.id = LOG_EVENT_STARTED, .bytes = SLICE("\x1b[31m\0\xff\\\n")},
	       "AtomDB is ready: sent \"\\x1b[31m\\x00\\xff\\x5c\\x0a\"");
	char bytes[200], line[JOURNAL_MESSAGE_MAX], expected[128];
	memset(bytes, 'a', sizeof(bytes));
	snprintf(expected, sizeof(expected), "AtomDB is ready: sent \"%.64s...\"", bytes);
	expect(&(struct log_event){.id = LOG_EVENT_STARTED, .bytes = {bytes, sizeof(bytes)}}, expected);
	expect(&(struct log_event){.id = LOG_EVENT_STARTED, .detail = "a\nb"}, "AtomDB is ready: a\\x0ab");
	/* For any text, the line is terminated and within its room. */
	char large[5000];
	memset(large, '\n', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	size_t len = journal_render(&(struct log_event){.id = LOG_EVENT_STARTED, .detail = large}, line);
	assert_in_range(len, JOURNAL_MESSAGE_MAX - 5, JOURNAL_MESSAGE_MAX - 1);
	assert_int_equal(strlen(line), len);
	assert_string_equal(line + len - 4, "\\x0a");
}

static void the_rate_is_limited_by_the_minute(void **state) {
	(void)state;
	struct journal_rate rate = {0};
	uint64_t now = 5 * SECOND;
	for (int i = 0; i < 3; i++)
		assert_true(journal_admit(&rate, 3, now));
	assert_false(journal_admit(&rate, 3, now));
	assert_false(journal_admit(&rate, 3, now + 59 * SECOND));
	assert_int_equal(rate.suppressed, 2);
	assert_true(journal_admit(&rate, 3, now + 60 * SECOND));
	assert_true(journal_admit(&rate, 3, now + 119 * SECOND));
	assert_true(journal_admit(&rate, 3, now + 119 * SECOND));
	assert_false(journal_admit(&rate, 3, now + 119 * SECOND));
	struct journal_rate free_rate = {0};
	for (int i = 0; i < 10000; i++)
		assert_true(journal_admit(&free_rate, 0, now));
}

/* Returns the bytes that the journal wrote to its file. */
static size_t read_back(FILE *f, char *out, size_t size) {
	rewind(f);
	size_t len = fread(out, 1, size - 1, f);
	out[len] = '\0';
	return len;
}

static void lines_have_time_and_level(void **state) {
	(void)state;
	FILE *f = tmpfile();
	struct journal *j;
	assert_int_equal(journal_new(&j, fileno(f), LOG_NOTICE), 0);
	log_report(journal_sink(j), &(struct log_event){.id = LOG_EVENT_STARTED});
	log_report(journal_sink(j),
		   &(struct log_event){.id = LOG_EVENT_TENANT_CREATED, .tenant = "x"}); /* info: dropped */
	journal_set_level(j, LOG_INFO);
	log_report(journal_sink(j), &(struct log_event){.id = LOG_EVENT_TENANT_CREATED, .tenant = "y"});
	char text[1024], rest[256];
	int year;
	read_back(f, text, sizeof(text));
	char *second = strchr(text, '\n');
	assert_non_null(second);
	*second++ = '\0';
	assert_int_equal(sscanf(text, "%d-%*2d-%*2d %*2d:%*2d:%*2d.%*3d %255[^\n]", &year, rest), 2);
	assert_string_equal(rest, "notice: AtomDB is ready");
	assert_string_equal(second + 24, "info: Tenant created: tenant y\n");
	journal_free(j);
	fclose(f);
}

static void a_flood_is_suppressed_and_counted(void **state) {
	(void)state;
	FILE *f = tmpfile();
	struct journal *j;
	assert_int_equal(journal_new(&j, fileno(f), LOG_INFO), 0);
	for (int i = 0; i < 1000; i++)
		log_report(journal_sink(j), &(struct log_event){.id = LOG_EVENT_PROTOCOL_ERROR, .client = "c"});
	journal_flush(j); /* the minute is not over: logs nothing */
	char text[4096];
	read_back(f, text, sizeof(text));
	unsigned lines = 0;
	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 6);
	assert_int_equal(counter_get(journal_suppressed(j)), 994);
	journal_free(j);
	fclose(f);
}

/* A pipe without a reader does not block the daemon. */
static void what_nobody_reads_is_left_out(void **state) {
	(void)state;
	int ends[2];
	struct journal *j;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(journal_new(&j, ends[1], LOG_INFO), 0);
	for (int i = 0; i < 5000; i++)
		log_report(journal_sink(j), &(struct log_event){.id = LOG_EVENT_STARTED});
	uint64_t left_out = counter_get(journal_suppressed(j));
	assert_in_range(left_out, 1, 4999);
	char text[65536];
	assert_true(read(ends[0], text, sizeof(text)) > 4096);
	log_report(journal_sink(j), &(struct log_event){.id = LOG_EVENT_STARTED});
	assert_int_equal(counter_get(journal_suppressed(j)), left_out);
	journal_free(j);
	close(ends[0]);
	close(ends[1]);
}

/* The message id finds the entry of the catalog. */
static void each_message_has_an_id_of_its_own(void **state) {
	(void)state;
	static const char *const ids[] = {
#define EVENT(name, message_id, ...) message_id,
#include "atomdb/util/log_events.def"
#undef EVENT
	};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_int_equal(strlen(ids[i]), 32);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(ids[i], ids[k]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_rendered),
		cmocka_unit_test(each_message_has_an_id_of_its_own),
		cmocka_unit_test(hostile_bytes_are_escaped_and_cut),
		cmocka_unit_test(the_rate_is_limited_by_the_minute),
		cmocka_unit_test(lines_have_time_and_level),
		cmocka_unit_test(a_flood_is_suppressed_and_counted),
		cmocka_unit_test(what_nobody_reads_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
