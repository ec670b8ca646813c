/* Copies of values of any size in pieces. */
#pragma once

#include <stddef.h>
#include <string.h>

/* Bytes between two check points. */
#define COPY_PIECE ((size_t)256 << 10)

/* As memcpy() and memset() with 0. Check points, if there is more than a piece. */
__attribute__((cold)) void copy_long(void *to, const void *from, size_t len);
void copy_zeros(void *to, size_t len);

static inline void copy_bytes(void *to, const void *from, size_t len) {
	if (__builtin_expect(len > COPY_PIECE, 0))
		copy_long(to, from, len);
	else
		memcpy(to, from, len);
}
