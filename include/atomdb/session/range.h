/* Ranges of bytes or bits, counted from the start or, if negative, from the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether both ends count from the end, in the wrong order. Most commands take such a range for empty, whatever the
 * length is. */
static inline bool range_backwards(int64_t start, int64_t end) {
	return start < 0 && end < 0 && start > end;
}
/* Turns `*start` and `*end` into positions within `length`, both included. False: the range is empty. */
bool range_resolve(int64_t length, int64_t *start, int64_t *end);
