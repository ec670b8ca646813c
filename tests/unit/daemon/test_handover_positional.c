#include <stdio.h>
#include <stdlib.h>

#include "atomdb/util/error.h"
#include "daemon/handover_positional.h"
#include "harness.h"

/* --- the old form ----------------------------------------------------------------------------------------------- */

static void number(struct buffer *b, uint64_t value) {
	assert_int_equal(buffer_append(b, &value, sizeof(value), SIZE_MAX), 0);
}

static void run(struct buffer *b, struct slice bytes) {
	number(b, bytes.len);
	assert_int_equal(buffer_append(b, bytes.data, bytes.len, SIZE_MAX), 0);
}

static void text(struct buffer *b, const char *bytes) {
	run(b, slice_of(bytes));
}

static void numbers(struct buffer *b, const uint64_t *values, size_t count) {
	for (size_t i = 0; i < count; i++)
		number(b, values[i]);
}
#define NUMBERS(b, ...) numbers(b, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

/* A client that watches a key, is in MULTI and tracks; `with_id`: in the form of later releases. */
static struct buffer old_client(uint64_t flags, bool with_id) {
	struct buffer b;
	buffer_init(&b);
	number(&b, 1);
	text(&b, "digest");
	text(&b, "shop");
	NUMBERS(&b, 7, 1000, 2000, 1 << 0 | 1 << 10 | 1 << 20, 3, 2);
	text(&b, "Bob");
	text(&b, "");
	text(&b, "");
	text(&b, "get");
	NUMBERS(&b, 1, 1, 1 << 0 | 1 << 5, 9, 1); /* a peer that tracks */
	NUMBERS(&b, 0, 0, 0, 1, 3);               /* watched: one key of database 3 */
	text(&b, "key");
	NUMBERS(&b, 0, 0, 1, 1, 2); /* a transaction of one command with two arguments */
	text(&b, "INCR");
	text(&b, "a");
	number(&b, flags);
	text(&b, "GE");
	text(&b, "+OK\r\n");
	if (with_id)
		number(&b, 5);
	if ((flags & 1 << 8) != 0)
		NUMBERS(&b, 1, 2, 3, 4);
	return b;
}

static struct buffer old_state(struct buffer client) {
	struct buffer b, tenants, one;
	buffer_init(&b);
	buffer_init(&tenants);
	buffer_init(&one);
	text(&one, "digest");
	text(&one, "");
	NUMBERS(&one, 1 << 0 | 1 << 13, 500, 1, 1, UINT64_MAX, 128, 0, 0);
	run(&tenants, buffer_slice(&one));
	number(&b, 77);
	run(&b, buffer_slice(&tenants));
	one.len = 0;
	run(&one, buffer_slice(&client));
	run(&b, buffer_slice(&one));
	buffer_deinit(&client);
	buffer_deinit(&tenants);
	buffer_deinit(&one);
	return b;
}

/* --- the new form ----------------------------------------------------------------------------------------------- */

/* Takes a field from the front. Returns false if there is no complete one. */
static bool take_field(struct slice *rest, struct slice *name, struct slice *value) {
	size_t head = rest->len == 0 ? 0 : 1 + (size_t)(uint8_t)rest->data[0] + sizeof(uint64_t);
	uint64_t length;
	if (head == 0 || head > rest->len)
		return false;
	*name = (struct slice){rest->data + 1, head - 1 - sizeof(length)};
	memcpy(&length, rest->data + head - sizeof(length), sizeof(length));
	if (length > rest->len - head)
		return false;
	*value = (struct slice){rest->data + head, (size_t)length};
	*rest = (struct slice){value->data + length, rest->len - head - (size_t)length};
	return true;
}

static bool is_record(struct slice bytes) {
	struct slice name, value;
	if (bytes.len == 0)
		return false;
	while (take_field(&bytes, &name, &value))
		continue;
	return bytes.len == 0;
}

/* A record as text: `name=value` for numbers and bytes, `name(...)` for records and lists. */
static void describe(struct slice record, char **end) {
	struct slice name, value;
	uint64_t n;
	while (take_field(&record, &name, &value)) {
		*end += sprintf(*end, "%.*s", (int)name.len, name.data);
		if (is_record(value)) {
			*end += sprintf(*end, "(");
			describe(value, end);
			*end += sprintf(*end, ") ");
		} else if (value.len == sizeof(n)) {
			memcpy(&n, value.data, sizeof(n));
			*end += sprintf(*end, "=%llu ", (unsigned long long)n);
		} else {
			*end += sprintf(*end, "=%.*s ", (int)value.len, value.data);
		}
	}
}

static void check(struct buffer old, const char *expected) {
	char got[4096] = "", *end = got;
	struct buffer record;
	buffer_init(&record);
	assert_int_equal(handover_from_positional(buffer_slice(&old), &record), 0);
	assert_true(record.len < sizeof(got) / 2);
	describe(buffer_slice(&record), &end);
	assert_string_equal(got, expected);
	buffer_deinit(&old);
	buffer_deinit(&record);
}

#define TENANTS                                                                                              \
	"tenants((identity(digest=digest ) settings(notify_K= notify_n= pause_end_ms=500 pause_all= noted= " \
	"slow_us=18446744073709551615 slow_max=128 latency_ms=0 ) ) ) "
#define SESSION(id)                                                                                                   \
	"tenant(digest=digest name=shop ) session(global_id=7 created_ms=1000 last_ms=2000 no_evict= subscribed= "    \
	"named= database=3 protocol=2 name=Bob last_command=get tracking(bcast= broken= redirect_id=9 redirected= ) " \
	"memberships(channels= shard_channels= patterns= watched((database=3 name=key ) ) tracked= prefixes= ) "      \
	"transaction((=INCR =a ) ) id=" id " ) "

static void every_field_gets_its_name(void **state) {
	(void)state;
	check(old_state(old_client(1 << 0 | 1 << 1 | 1 << 8, true)),
	      "next_client_id=77 " TENANTS "clients((" SESSION("5") "member= greeted= input=GE output=+OK\r\n "
								    "!lent(at=1 block=2 offset=3 length=4 ) ) ) ");
}

static void a_client_of_the_first_releases_keeps_its_only_number(void **state) {
	(void)state;
	check(old_state(old_client(1 << 4 | 1 << 5, false)),
	      "next_client_id=77 " TENANTS "clients((" SESSION("7") "finished= ended= input=GE output=+OK\r\n ) ) ");
}

static void a_flag_that_is_not_known_is_refused(void **state) {
	(void)state;
	struct buffer old = old_state(old_client(1 << 9, true)), record;
	buffer_init(&record);
	assert_int_equal(handover_from_positional(buffer_slice(&old), &record), ATOMDB_E_FORMAT);
	buffer_deinit(&record);
	buffer_deinit(&old);
}

/* Truncated or damaged at every byte. */
static void any_bytes_are_refused_or_make_a_record(void **state) {
	(void)state;
	struct buffer old = old_state(old_client(1 << 8, true)), record;
	buffer_init(&record);
	for (size_t i = 0; i < old.len; i++) {
		char *copy = malloc(i + 1);
		assert_non_null(copy);
		memcpy(copy, old.data, i);
		record.len = 0;
		assert_int_equal(handover_from_positional((struct slice){copy, i}, &record), ATOMDB_E_FORMAT);
		free(copy);
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			old.data[i] ^= (char)bit;
			record.len = 0;
			if (handover_from_positional(buffer_slice(&old), &record) == 0)
				assert_int_equal(deserialize_record(buffer_slice(&record), NULL, 0, NULL), 0);
			old.data[i] ^= (char)bit;
		}
	}
	buffer_deinit(&record);
	buffer_deinit(&old);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_gets_its_name),
		cmocka_unit_test(a_client_of_the_first_releases_keeps_its_only_number),
		cmocka_unit_test(a_flag_that_is_not_known_is_refused),
		cmocka_unit_test(any_bytes_are_refused_or_make_a_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
