/* A run of bytes that somebody else owns: pointer and length, any byte value, no terminator. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
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

/* Equal to `text` without regard to ASCII case, as Redis compares command names and options. */
static inline bool slice_is(struct slice s, const char *text) {
	return s.len == strlen(text) && strncasecmp(s.data, text, s.len) == 0;
}
