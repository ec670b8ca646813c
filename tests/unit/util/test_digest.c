/* Digests: known ones of redis-server 7.0. */
#include <stdio.h>

#include "atomdb/util/digest.h"
#include "harness.h"

static void expect_hex(const struct digest *d, const char *hex) {
	char text[2 * SHA1_BYTES + 1];
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", d->bytes[i]);
	assert_string_equal(text, hex);
}

static void test_the_digest_of_a_string_is_that_of_redis(void **state) {
	/* DEBUG DIGEST-VALUE of SET k hello */
	struct digest d = {{0}};
	(void)state;
	digest_mix_number(&d, 0);
	digest_mix(&d, SLICE("hello"));
	expect_hex(&d, "36b23a1456b2dce2c3ed252c456761301dba8060");
}

static void test_the_order_counts_only_for_what_is_mixed(void **state) {
	struct digest a = {{0}}, b = {{0}};
	(void)state;
	digest_add(&a, SLICE("one"));
	digest_add(&a, SLICE("two"));
	digest_add(&b, SLICE("two"));
	digest_add(&b, SLICE("one"));
	assert_memory_equal(&a, &b, sizeof(a));
	digest_mix(&a, SLICE("one"));
	digest_mix(&a, SLICE("two"));
	digest_mix(&b, SLICE("two"));
	digest_mix(&b, SLICE("one"));
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_int_equal(digest_bytes(&a).len, SHA1_BYTES);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_digest_of_a_string_is_that_of_redis),
		cmocka_unit_test(test_the_order_counts_only_for_what_is_mixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
