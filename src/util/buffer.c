#include "atomdb/util/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/error.h"
#include "atomdb/util/heap.h"

enum { SMALLEST = 64 };

void buffer_init(struct buffer *b) {
	*b = (struct buffer){0};
}

void buffer_deinit(struct buffer *b) {
	heap_free(b->data, b->cap);
	buffer_init(b);
}

int buffer_reserve(struct buffer *b, size_t more, size_t limit) {
	if (b->len > limit || more > limit - b->len)
		return limit == SIZE_MAX ? -ENOMEM : ATOMDB_E_RANGE;
	size_t need = b->len + more;
	if (need <= b->cap)
		return 0;
	size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;
	if (cap < SMALLEST)
		cap = SMALLEST;
	if (cap > limit)
		cap = limit;
	if (cap < need)
		cap = need;
	/* malloc() fails for an object larger than PTRDIFF_MAX. */
	if (cap > PTRDIFF_MAX)
		return -ENOMEM;
	char *data = heap_resize(b->data, b->cap, cap);
	if (data == NULL)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int buffer_append(struct buffer *b, const void *bytes, size_t n, size_t limit) {
	int r = buffer_reserve(b, n, limit);
	if (r < 0)
		return r;
	if (n > 0)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	return 0;
}

size_t buffer_drop_front(struct buffer *b, size_t n) {
	size_t dropped = heap_drop_front(b->data, b->cap, n < b->len ? n : b->len);
	if (dropped == 0)
		return 0;
	b->data += dropped;
	b->cap -= dropped;
	b->len -= dropped;
	return dropped;
}

void buffer_consume(struct buffer *b, size_t n) {
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	b->len -= n;
	if (n > 0)
		memmove(b->data, b->data + n, b->len);
}
