/* A growable byte array on the heap, with a limit. */
#pragma once

#include <stddef.h>

#include "atomdb/util/slice.h"

struct buffer {
	char *data; /* owned */
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
};

void buffer_init(struct buffer *b);
/* Frees the bytes. The buffer is empty and usable afterwards. */
void buffer_deinit(struct buffer *b);

/* Makes room for `more` bytes after `len`. The capacity doubles, up to `limit` bytes in total (SIZE_MAX: no limit).
 * Returns 0, -ENOMEM, or ATOMDB_E_RANGE if the limit does not allow it. On failure the buffer is unchanged. */
int buffer_reserve(struct buffer *b, size_t more, size_t limit);

/* Appends `n` bytes. Returns 0, or an error as buffer_reserve(). */
int buffer_append(struct buffer *b, const void *bytes, size_t n, size_t limit);

/* Removes at most `n` bytes from the beginning of a large buffer without a copy: as many as heap_drop_front() drops.
 * Returns their number. */
size_t buffer_drop_front(struct buffer *b, size_t n);
/* Removes the first `n` bytes (n <= len). */
void buffer_consume(struct buffer *b, size_t n);

static inline struct slice buffer_slice(const struct buffer *b) {
	return (struct slice){b->data, b->len};
}
