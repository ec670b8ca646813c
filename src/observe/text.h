/* Writes the parts of pages: numbers, seconds, labels, strings of JSON. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"

/* Appends to `out`. After the first failure it drops everything. */
struct text {
	struct buffer *out; /* not owned */
	int error;          /* 0 or -ENOMEM */
};

void text_bytes(struct text *t, const void *bytes, size_t n);
void text_string(struct text *t, const char *string);
void text_u64(struct text *t, uint64_t value);
/* `value` / 10^`decimals` (0 to 9), without the zeros that a fraction ends in. */
void text_decimal(struct text *t, uint64_t value, unsigned decimals);

/* A string of JSON, in its quotes. All but printable ASCII is escaped; a byte beyond ASCII is taken as Latin-1. */
void text_json(struct text *t, const char *string);

/* The labels of a row, ready to be copied: {name="value",other="value"}, or nothing. */
#define LABELS_MAX 400
struct labels {
	size_t len;
	char text[LABELS_MAX];
};

/* Adds a label; `name` is a constant of the caller's. Backslash, quote and newline of `value` are escaped as the format
 * wants it, all other bytes outside printable ASCII become \xHH, since the page must be UTF-8. A label that has no room
 * any more is left out whole. */
void labels_add(struct labels *l, const char *name, const char *value);
void labels_add_u64(struct labels *l, const char *name, uint64_t value);
