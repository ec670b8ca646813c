/* Packs a name of up to 8 bytes into a 64-bit word, for comparisons that ignore ASCII case. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "atomdb/util/slice.h"

/* Converts ASCII capitals to lower case, 8 bytes at a time. The high bit of each byte of `upper` is set for a
 * capital. */
static inline uint64_t ascii_word_lower(uint64_t w) {
	const uint64_t ones = 0x0101010101010101;
	uint64_t low7 = w & (ones * 0x7f);
	uint64_t from_a = low7 + ones * (0x80 - 'A');
	uint64_t beyond_z = low7 + ones * (0x7f - 'Z');
	uint64_t upper = (from_a ^ beyond_z) & ~w & (ones * 0x80);
	return w | upper >> 2;
}

static inline uint64_t ascii_word_load(const char *p, size_t n) {
	uint64_t w = 0;
	memcpy(&w, p, n);
	return w;
}

/* Returns the first 8 bytes of `s`, padded with zeros. */
static inline uint64_t ascii_word_exact(struct slice s) {
	const char *p = s.data;
	size_t n = s.len;
	/* Two loads that may overlap cover any length. */
	if (n >= 8)
		return ascii_word_load(p, 8);
	if (n >= 4)
		return ascii_word_load(p, 4) | ascii_word_load(p + n - 4, 4) << (8 * (n - 4));
	if (n >= 2)
		return ascii_word_load(p, 2) | ascii_word_load(p + n - 2, 2) << (8 * (n - 2));
	return n == 0 ? 0 : ascii_word_load(p, 1);
}

/* Returns the first 8 bytes of `s` in lower case, padded with zeros. Two names of at most 8 bytes and without NUL are
 * equal, ignoring case, if and only if their words are equal. */
static inline uint64_t ascii_word(struct slice s) {
	return ascii_word_lower(ascii_word_exact(s));
}
