/* A run of bytes that somebody else owns: pointer and length, any byte value, no terminator. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *data;
	size_t len;
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

static inline struct slice slice_of(const char *text) {
	return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b) {
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The same for slices of 8 to 64 bytes, without a call; false for any others. */
static inline bool slice_equal_short(struct slice a, struct slice b) {
	uint64_t x, y;
	size_t n = a.len;
	if (n != b.len || n < sizeof(x) || n > 8 * sizeof(x))
		return false;
	for (size_t i = 0; i + sizeof(x) < n; i += sizeof(x)) {
		memcpy(&x, a.data + i, sizeof(x));
		memcpy(&y, b.data + i, sizeof(y));
		if (x != y)
			return false;
	}
	/* The last ones, some of them for the second time. */
	memcpy(&x, a.data + n - sizeof(x), sizeof(x));
	memcpy(&y, b.data + n - sizeof(y), sizeof(y));
	return x == y;
}

/* Equal to `text` without regard to ASCII case, as Redis compares command names and options. */
static inline bool slice_is(struct slice s, const char *text) {
	return s.len == strlen(text) && strncasecmp(s.data, text, s.len) == 0;
}
