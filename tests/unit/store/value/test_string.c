/* Strings: each way to write one, and the encoding that it has then. */
#include "atomdb/store/relocate.h"
#include "atomdb/util/error.h"
#include "store/as_string.h"
#include "store/store.h"
#include "store/value/string.h"

static void test_encoding_follows_the_bytes(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	static const struct {
		const char *value, *encoding;
	} cases[] = {
		{"", "embstr"},
		{"0", "int"},
		{"-9223372036854775808", "int"},
		{"9223372036854775807", "int"},
		{"9223372036854775808", "embstr"},
		{"00", "embstr"},
		{"123456789", "int"},
		{"12345678901234567890123456789012345678901234", "embstr"},
		{"123456789012345678901234567890123456789012345", "raw"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[STRING_TEXT];
		struct key key = store_key(&t, 0, "k");
		assert_int_equal(store_put(&t, 0, "k", cases[i].value, 0), 0);
		struct entry *e = keyspace_find(&t, &key, LOOKUP_PEEK);
		assert_string_equal(string_encoding(e), cases[i].encoding);
		assert_true(slice_equal(string_value(as_string(e), text), slice_of(cases[i].value)));
	}
	store_close(s, &t);
}

static void test_digits_that_were_set_as_text_stay_text(void **state) {
	(void)state;
	struct shard *s = store_shard(NULL);
	struct tenant t;
	store_open(s, &t, &(struct tenant_limits){0});
	static const char *const values[] = {"0", "-5", "12345678", "9223372036854775807", "0.5"};
	struct key key = store_key(&t, 0, "k"), copy = store_key(&t, 0, "copy");
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char text[STRING_TEXT];
		int64_t number = 0;
		struct entry *old = keyspace_find(&t, &key, LOOKUP_PEEK);
		assert_int_equal(string_set_text(&t, &key, old, slice_of(values[i]), 0), 0);
		assert_int_equal(keyspace_expire(&t, &key, keyspace_find(&t, &key, LOOKUP_PEEK), shard_now(s) + 9), 0);
		old = keyspace_find(&t, &copy, LOOKUP_PEEK);
		assert_int_equal(keyspace_copy(&t, keyspace_find(&t, &key, LOOKUP_PEEK), &copy, old), 0);
		struct entry *e = keyspace_find(&t, &copy, LOOKUP_PEEK);
		assert_string_equal(string_encoding(e), "embstr");
		assert_true(slice_equal(string_value(as_string(e), text), slice_of(values[i])));
		assert_int_equal(string_add(&t, &copy, as_string(e), 0, &number), i < 4 ? 0 : ATOMDB_E_SYNTAX);
		assert_string_equal(string_encoding(keyspace_find(&t, &copy, LOOKUP_PEEK)), i < 4 ? "int" : "embstr");
	}
	store_close(s, &t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoding_follows_the_bytes),
		cmocka_unit_test(test_digits_that_were_set_as_text_stay_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
