#include "atomdb/session/range.h"

bool range_resolve(int64_t length, int64_t *start, int64_t *end) {
	if (*start < 0)
		*start = *start < -length ? 0 : *start + length;
	if (*end < 0)
		*end = *end < -length ? 0 : *end + length;
	if (*end >= length)
		*end = length - 1;
	return *start <= *end;
}
