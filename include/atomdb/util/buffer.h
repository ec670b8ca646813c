/* A growable run of bytes on the heap, with a limit. */
#pragma once

#include <stddef.h>

#include "atomdb/util/slice.h"

struct buffer {
	char *data; /* owned */
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
};

void buffer_init(struct buffer *b);
/* Frees the bytes; the buffer is empty and usable afterwards. */
void buffer_deinit(struct buffer *b);

/* Makes room for `more` bytes behind `len`. Grows by doubling, never beyond `limit` bytes in all (SIZE_MAX: no limit).
 * Returns 0, -ENOMEM, or ATOMDB_E_RANGE where the limit is in the way; the buffer is unchanged on failure. */
int buffer_reserve(struct buffer *b, size_t more, size_t limit);

/* Appends `n` bytes; 0, or as buffer_reserve. */
int buffer_append(struct buffer *b, const void *bytes, size_t n, size_t limit);

/* Drops the first `n` bytes (n <= len). */
void buffer_consume(struct buffer *b, size_t n);

static inline struct slice buffer_slice(const struct buffer *b) {
	return (struct slice){b->data, b->len};
}
