#include "store/keyspace/copy.h"

#include "atomdb/util/fiber.h"

static size_t piece_of(size_t left) {
	return left < COPY_PIECE ? left : COPY_PIECE;
}

void copy_long(void *to, const void *from, size_t len) {
	for (size_t at = 0; at < len; at += COPY_PIECE) {
		memcpy((char *)to + at, (const char *)from + at, piece_of(len - at));
		(void)fiber_check();
	}
}

void copy_zeros(void *to, size_t len) {
	for (size_t at = 0; at < len; at += COPY_PIECE) {
		memset((char *)to + at, 0, piece_of(len - at));
		(void)fiber_check();
	}
}
