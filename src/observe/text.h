/* Writes parts of pages: numbers, seconds, labels, JSON strings. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"

/* Appends to `out`. After the first error it writes nothing. */
struct text {
	struct buffer *out; /* not owned */
	int error;          /* 0 or -ENOMEM */
};

void text_bytes(struct text *t, const void *bytes, size_t n);
void text_string(struct text *t, const char *string);
void text_u64(struct text *t, uint64_t value);
/* Writes `value` / 10^`decimals` (0 to 9), without trailing zeros of the fraction. */
void text_decimal(struct text *t, uint64_t value, unsigned decimals);

/* Writes a JSON string in quotes. Escapes all bytes except printable ASCII; a byte above 0x7f is read as Latin-1. */
void text_json(struct text *t, const char *string);

/* The labels of a row, as text to copy: {name="value",other="value"}, or nothing. */
#define LABELS_MAX 400
struct labels {
	size_t len;
	char text[LABELS_MAX];
};

/* Adds a label; `name` is a constant. Escapes backslash, quote and newline of `value` as the format requires; all other
 * bytes outside of printable ASCII become \xHH, since the page must be UTF-8. Omits a label that does not fit. */
void labels_add(struct labels *l, const char *name, const char *value);
void labels_add_u64(struct labels *l, const char *name, uint64_t value);
