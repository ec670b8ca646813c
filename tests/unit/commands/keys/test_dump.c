/* DUMP and RESTORE. test_payload.c and test_string.c have the format. */
#include "atomdb/rdb/payload.h"
#include "atomdb/rdb/string.h"
#include "atomdb/util/crc64.h"
#include "world.h"

static struct buffer write_payload(struct slice value) {
	struct buffer out;
	buffer_init(&out);
	assert_int_equal(rdb_write_string(&out, value), 0);
	assert_int_equal(payload_seal(&out, 0), 0);
	return out;
}

static void test_a_payload_becomes_the_value_of_a_key(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct buffer payload = write_payload(SLICE("hello"));
	struct slice argv[] = {SLICE("RESTORE"), SLICE("k"),    SLICE("0"), buffer_slice(&payload),
			       SLICE("REPLACE"), SLICE("FREQ"), SLICE("5")};
	(void)state;
	assert_string_equal(client_run(c, argv, 4), "+OK\r\n");
	expect(c, "GET k", "$5\r\nhello\r\n");
	assert_string_equal(client_run(c, argv, 4), "-BUSYKEY Target key name already exists.\r\n");
	argv[2] = SLICE("5000");
	assert_string_equal(client_run(c, argv, 7), "+OK\r\n");
	expect(c, "PTTL k", ":5000\r\n");
	argv[2] = SLICE("1000");
	argv[5] = SLICE("ABSTTL");
	assert_string_equal(client_run(c, argv, 6), "+OK\r\n");
	expect(c, "EXISTS k", ":0\r\n");
	argv[2] = SLICE("9223372036854775807");
	assert_string_equal(client_run(c, argv, 5), "+OK\r\n");
	expect(c, "EXISTS k", ":0\r\n");
	expect(c, "DUMP k", "$-1\r\n");
	expect(c, "RESTORE k 0 x", "-ERR DUMP payload version or checksum are wrong\r\n");
	expect(c, "RESTORE k -1 x", "-ERR Invalid TTL value, must be >= 0\r\n");
	expect(c, "RESTORE k 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n");
	expect(c, "RESTORE k 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n");
	expect(c, "RESTORE k 0 x IDLETIME 1 FREQ 1", "-ERR syntax error\r\n");
	payload.data[0] = 1; /* a list */
	uint64_t crc = crc64(0, (struct slice){payload.data, payload.len - 8});
	memcpy(payload.data + payload.len - 8, &crc, 8);
	argv[2] = SLICE("0");
	assert_string_equal(client_run(c, argv, 4), "-ERR Bad data format\r\n");
	buffer_deinit(&payload);
	close_world(w, c);
}

static void test_dump_and_restore_keep_each_value(void **state) {
	static const char *const values[] = {
		"''", "1", "-129", "9223372036854775807", "01", "text", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char line[64], want[64];
		snprintf(line, sizeof(line), "SET k %s", values[i]);
		expect(c, line, "+OK\r\n");
		snprintf(want, sizeof(want), "%s", ask(c, "GET k"));
		const char *dump = ask(c, "DUMP k");
		char *begin = strchr(dump, '\n') + 1, copy[64];
		size_t len = (size_t)atoi(dump + 1);
		assert_in_range(len, 11, sizeof(copy));
		memcpy(copy, begin, len);
		struct slice restore[] = {SLICE("RESTORE"), SLICE("k"),        SLICE("0"),   {copy, len},
					  SLICE("REPLACE"), SLICE("IDLETIME"), SLICE("1000")};
		assert_string_equal(client_run(c, restore, 7), "+OK\r\n");
		expect(c, "OBJECT IDLETIME k", ":786\r\n");
		expect(c, "GET k", want);
	}
	close_world(w, c);
}

static void test_a_refused_restore_keeps_the_key(void **state) {
	static const struct exchange table[] = {
		{"SET k v EX 100", "+OK\r\n"},
		{"RESTORE k 0 x REPLACE", "-ERR DUMP payload version or checksum are wrong\r\n"},
		{"RESTORE k x x REPLACE", "-ERR value is not an integer or out of range\r\n"},
		{"RESTORE k 0 x REPLACE bogus", "-ERR syntax error\r\n"},
		{"RESTORE k 0 x REPLACE FREQ", "-ERR syntax error\r\n"},
		{"RESTORE k 0 x FREQ 1 IDLETIME 1", "-ERR syntax error\r\n"},
		{"RESTORE k 0 x IDLETIME x", "-ERR value is not an integer or out of range\r\n"},
		{"RESTORE k 0 x", "-BUSYKEY Target key name already exists.\r\n"},
		{"RESTORE k 0 x REPLACE FREQ 255", "-ERR DUMP payload version or checksum are wrong\r\n"},
		{"GET k", "$1\r\nv\r\n"},
		{"TTL k", ":100\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_payload_becomes_the_value_of_a_key),
		cmocka_unit_test(test_dump_and_restore_keep_each_value),
		cmocka_unit_test(test_a_refused_restore_keeps_the_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
