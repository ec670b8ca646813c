/* LZF: expanding restores the input, stays within its room, and survives arbitrary bytes. */
#include <stdlib.h>

#include "atomdb/util/lzf.h"
#include "harness.h"

static uint64_t seed = 88172645463325252u;

static uint64_t draw(uint64_t below) {
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* Allocates exactly `size` bytes, so that AddressSanitizer detects an access beyond them. */
static char *room_of(size_t size) {
	char *p = malloc(size == 0 ? 1 : size);
	assert_non_null(p);
	return p;
}

static void round_trip(struct slice in, size_t room) {
	char *compressed = room_of(room), *back = room_of(in.len);
	size_t n = lzf_compress(in, compressed, room);
	assert_true(n <= room);
	if (n != 0) {
		char *exact = room_of(n);
		memcpy(exact, compressed, n);
		assert_true(lzf_expand((struct slice){exact, n}, back, in.len));
		assert_memory_equal(back, in.data, in.len);
		assert_true(in.len <= n * LZF_RATIO_MAX);
		assert_false(lzf_expand((struct slice){exact, n}, back, in.len - 1));
		assert_false(lzf_expand((struct slice){exact, n - 1}, back, in.len));
		free(exact);
	}
	free(compressed);
	free(back);
}

static void expanding_restores_the_input(void **state) {
	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t len = 1 + draw(round % 10 == 0 ? 30000 : 300);
		unsigned letters = 1 + (unsigned)draw(round % 3 == 0 ? 256 : 4);
		char *bytes = room_of(len);
		for (size_t i = 0; i < len; i++) {
			size_t back = draw(12000);
			bool again = draw(4) != 0 && back < i;
			bytes[i] = again ? bytes[i - back - 1] : (char)draw(letters);
		}
		round_trip((struct slice){bytes, len}, len > 4 ? len - 4 : len);
		round_trip((struct slice){bytes, len}, draw(len + 8));
		free(bytes);
	}
}

/* As in Redis, a repetition covers the last two bytes only in some cases. */
static void compresses_as_redis_does(void **state) {
	char compressed[64];
	(void)state;
	size_t n = lzf_compress(SLICE("aaaaaaaaaaaaaaaaaaaaa"), compressed, 17);
	assert_int_equal(n, 6);
	assert_memory_equal(compressed,
			    "\x01"
			    "aa\xe0\x0a\x00",
			    6);
}

static void any_bytes_expand_safely(void **state) {
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = draw(20), len = draw(300);
		char *in = room_of(n), *out = room_of(len);
		for (size_t i = 0; i < n; i++)
			in[i] = (char)draw(draw(2) ? 40 : 256);
		(void)lzf_expand((struct slice){in, n}, out, len);
		free(in);
		free(out);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expanding_restores_the_input),
		cmocka_unit_test(compresses_as_redis_does),
		cmocka_unit_test(any_bytes_expand_safely),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
