/* A reference to bytes that another object owns: pointer and length. Any byte value is valid; there is no
 * terminator. */
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

/* Like slice_equal(), inline, for 8 to 64 bytes. Returns false for any other length. */
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
	/* The last 8 bytes; they may overlap the ones before. */
	memcpy(&x, a.data + n - sizeof(x), sizeof(x));
	memcpy(&y, b.data + n - sizeof(y), sizeof(y));
	return x == y;
}

/* Returns true if `s` equals `text`, ignoring ASCII case, as Redis compares names of commands and options. */
static inline bool slice_is(struct slice s, const char *text) {
	return s.len == strlen(text) && strncasecmp(s.data, text, s.len) == 0;
}
