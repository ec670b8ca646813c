/* Compares SHA-1 with published values, and with the digests of all lengths around the block size. */
#include <stdio.h>

#include "atomdb/util/sha1.h"
#include "harness.h"

static void expect_digest(struct slice bytes, const char *hex) {
	uint8_t digest[SHA1_BYTES];
	char text[2 * SHA1_BYTES + 1];
	sha1(bytes, digest);
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, hex);
}

static void gives_published_digests(void **state) {
	(void)state;
	expect_digest(SLICE(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	expect_digest(SLICE("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	expect_digest(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
		      "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	expect_digest(
		SLICE("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqr"
		      "smnopqrstnopqrstu"),
		"a49b2446a02c645bf419f995b67091253a04a259");
}

/* The digest of the digests of "", "a", "aa" and so on. */
static void gives_the_digest_of_every_length(void **state) {
	char text[200];
	uint8_t all[sizeof(text) * SHA1_BYTES];
	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t n = 0; n < sizeof(text); n++)
		sha1((struct slice){text, n}, all + n * SHA1_BYTES);
	expect_digest((struct slice){(const char *)all, sizeof(all)}, "8a18f04bac7c86cfcffa6a93e5cb21ae0159deac");
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(gives_published_digests),
					   cmocka_unit_test(gives_the_digest_of_every_length)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
