/* Numbers, seconds and labels in Prometheus's text format. */

#include "harness.h"
#include "observe/text.h"

static void check_decimal(uint64_t value, unsigned decimals, const char *expected) {
	struct buffer b;
	struct text t = {.out = &b};
	buffer_init(&b);
	text_decimal(&t, value, decimals);
	text_bytes(&t, "", 1);
	assert_int_equal(t.error, 0);
	assert_string_equal(b.data, expected);
	buffer_deinit(&b);
}

static void test_decimals(void **state) {
	(void)state;
	check_decimal(0, 0, "0");
	check_decimal(0, 9, "0");
	check_decimal(UINT64_MAX, 0, "18446744073709551615");
	check_decimal(UINT64_MAX, 9, "18446744073.709551615");
	check_decimal(1500, 3, "1.5");
	check_decimal(1005, 3, "1.005");
	check_decimal(7000, 3, "7");
	check_decimal(1, 9, "0.000000001");
	check_decimal(10, 6, "0.00001");
	check_decimal(1000000001, 9, "1.000000001");
	check_decimal(123456, 0, "123456");
}

static void check_labels(const struct labels *l, const char *expected) {
	assert_int_equal(l->len, strlen(expected));
	assert_memory_equal(l->text, expected, l->len);
}

static void test_labels(void **state) {
	struct labels l = {0};
	(void)state;
	labels_add(&l, "tenant", "shop");
	check_labels(&l, "{tenant=\"shop\"}");
	labels_add_u64(&l, "worker", 0);
	check_labels(&l, "{tenant=\"shop\",worker=\"0\"}");
	labels_add(&l, "empty", "");
	check_labels(&l, "{tenant=\"shop\",worker=\"0\",empty=\"\"}");
}

static void test_label_escapes(void **state) {
	struct labels l = {0};
	(void)state;
	labels_add(&l, "a", "back\\slash \"quote\"\nline");
	check_labels(&l, "{a=\"back\\\\slash \\\"quote\\\"\\nline\"}");
	l.len = 0;
	labels_add(&l, "a", "\xff\r\x7f\xc3\xa4}");
	check_labels(&l, "{a=\"\\\\xff\\\\x0d\\\\x7f\\\\xc3\\\\xa4}\"}");
}

static void test_label_without_room_is_left_out(void **state) {
	struct labels l = {0};
	char value[LABELS_MAX + 10];
	(void)state;
	for (size_t n = 0; n < sizeof(value) - 1; n++) {
		memset(value, 'x', n);
		value[n] = '\0';
		l.len = 0;
		labels_add(&l, "a", value);
		assert_int_equal(l.len, n + 6 <= LABELS_MAX ? n + 6 : 0);
		size_t before = l.len;
		labels_add(&l, "b", "yy");
		assert_int_equal(l.len, before == 0 ? 8 : before + 7 <= LABELS_MAX ? before + 7 : before);
		assert_true(l.text[0] == '{' && l.text[l.len - 1] == '}');
		memset(value, '\x01', n);
		l.len = 0;
		labels_add(&l, "a", value);
		assert_int_equal(l.len, 5 * n + 6 <= LABELS_MAX ? 5 * n + 6 : 0);
	}
}

static void test_json(void **state) {
	struct buffer b;
	buffer_init(&b);
	struct text t = {.out = &b};
	static const char expected[] = "\"a\\u0022b\\u005cc\\u003cimg\\u003e\\u0026\\u000a\\u007f\\u00c3\\u00ff/'\"";
	(void)state;
	text_json(&t, "a\"b\\c<img>&\n\x7f\xc3\xff/'");
	assert_int_equal(t.error, 0);
	assert_int_equal(b.len, sizeof(expected) - 1);
	assert_memory_equal(b.data, expected, b.len);
	buffer_deinit(&b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decimals),      cmocka_unit_test(test_labels),
		cmocka_unit_test(test_label_escapes), cmocka_unit_test(test_label_without_room_is_left_out),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
