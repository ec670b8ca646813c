#include <stdlib.h>
#include <string.h>

#include "atomdb/util/hash.h"
#include "harness.h"

/* SipHash-c-d as in the paper, word by word and byte by byte. */
static void sip_round(uint64_t v[4]) {
#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

static uint64_t reference(int c, int d, uint64_t k0, uint64_t k1, const unsigned char *bytes, size_t len) {
	static const char start[] = "somepseudorandomlygeneratedbytes";
	uint64_t v[4] = {0};
	for (int i = 0; i < 32; i++)
		v[i / 8] = v[i / 8] << 8 | (uint64_t)start[i];
	v[0] ^= k0;
	v[1] ^= k1;
	v[2] ^= k0;
	v[3] ^= k1;
	for (size_t word = 0; word <= len / 8; word++) {
		uint64_t m = 0;
		for (size_t i = 0; i < 8 && word * 8 + i < len; i++)
			m |= (uint64_t)bytes[word * 8 + i] << (8 * i);
		if (word == len / 8)
			m |= (uint64_t)len << 56;
		v[3] ^= m;
		for (int i = 0; i < c; i++)
			sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < d; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void the_reference_gives_the_papers_value(void **state) {
	unsigned char bytes[15];
	(void)state;
	for (unsigned char i = 0; i < 15; i++)
		bytes[i] = i;
	assert_true(reference(2, 4, 0x0706050403020100, 0x0f0e0d0c0b0a0908, bytes, 15) == 0xa129ca6149be45e5);
}

static void every_length_gives_the_references_value(void **state) {
	unsigned char bytes[700];
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 167 + 200);
	for (uint64_t k = 0; k < 5; k++) {
		struct hash_seed seed = {k * 0x9e3779b97f4a7c15, ~k * 0xc2b2ae3d27d4eb4f};
		for (size_t len = 0; len < 600; len++) {
			const unsigned char *at = bytes + len % 9; /* unaligned addresses, too */
			assert_true(hash_bytes(&seed, at, len) == reference(1, 3, seed.k0, seed.k1, at, len));
		}
	}
}

static void a_long_text_has_the_same_hash_in_slices(void **state) {
	const struct hash_seed seed = {5, 7};
	const size_t size = 300001;
	char *text = malloc(size);
	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < size; i++)
		text[i] = (char)(i * 31 >> 3);
	for (size_t len = size - 9; len <= size; len++)
		assert_true(hash_bytes_in_slices(&seed, text, len) == hash_bytes(&seed, text, len));
	free(text);
}

static void seeds_differ(void **state) {
	struct hash_seed a = {0}, b = {0};
	(void)state;
	assert_int_equal(hash_seed_random(&a), 0);
	assert_int_equal(hash_seed_random(&b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_true(hash_bytes(&a, "key", 3) != hash_bytes(&b, "key", 3));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_gives_the_papers_value),
		cmocka_unit_test(every_length_gives_the_references_value),
		cmocka_unit_test(a_long_text_has_the_same_hash_in_slices),
		cmocka_unit_test(seeds_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
