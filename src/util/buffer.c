#include "atomdb/util/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"

enum { SMALLEST = 64 };

void buffer_init(struct buffer *b) {
	*b = (struct buffer){0};
}

void buffer_deinit(struct buffer *b) {
	free(b->data);
	buffer_init(b);
}

/* A buffer of so many bytes is given back in pieces of so many. */
#define LARGE ((size_t)4 << 20)
#define PIECE ((size_t)512 << 10)
#define PAGE  ((size_t)64 << 10) /* a multiple of the page size of any machine */

void buffer_deinit_in_slices(struct buffer *b) {
	uintptr_t begin = ((uintptr_t)b->data + PAGE - 1) & ~(PAGE - 1),
		  end = ((uintptr_t)b->data + b->cap) & ~(PAGE - 1);
	for (uintptr_t at = begin; b->cap > LARGE && at < end; at += PIECE) {
		(void)madvise((void *)at, end - at < PIECE ? end - at : PIECE, MADV_DONTNEED);
		(void)fiber_check();
	}
	buffer_deinit(b);
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
	char *data = realloc(b->data, cap);
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

void buffer_consume(struct buffer *b, size_t n) {
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	b->len -= n;
	if (n > 0)
		memmove(b->data, b->data + n, b->len);
}
