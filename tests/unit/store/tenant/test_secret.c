#include <string.h>

#include "atomdb/store/secret.h"
#include "harness.h"

/* FIPS 180-2, appendix B.1 and the empty message. */
static void test_a_digest_is_sha_256(void **state) {
	static const uint8_t abc[SECRET_DIGEST] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
						   0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
						   0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	static const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14};
	struct secret s;
	(void)state;
	secret_digest(SLICE("abc"), &s);
	assert_memory_equal(s.digest, abc, sizeof abc);
	secret_digest(SLICE(""), &s);
	assert_memory_equal(s.digest, empty, sizeof empty);
}

static void test_secrets_are_equal_if_all_bytes_are(void **state) {
	struct secret a, b;
	(void)state;
	secret_digest(SLICE("secret"), &a);
	b = a;
	assert_true(secret_equal(&a, &b));
	for (unsigned i = 0; i < SECRET_DIGEST; i++) {
		b = a;
		b.digest[i] ^= 1;
		assert_false(secret_equal(&a, &b));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_digest_is_sha_256),
		cmocka_unit_test(test_secrets_are_equal_if_all_bytes_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
