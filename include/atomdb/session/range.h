/* Ranges of bytes or bits, counted from the start or, if negative, from the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Returns whether both ends count from the end, in the wrong order. For most commands such a range is empty at any
 * length. */
static inline bool range_backwards(int64_t start, int64_t end) {
	return start < 0 && end < 0 && start > end;
}
/* Converts `*start` and `*end` to positions within `length`, both inclusive. Returns false if the range is empty. */
bool range_resolve(int64_t length, int64_t *start, int64_t *end);
