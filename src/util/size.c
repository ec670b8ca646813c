#include "atomdb/util/size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "atomdb/util/error.h"

static const char letters[] = "KMGTP";

/* Returns the power of 1024 of the suffix `c`, 1 to 4, or 0 if `c` is no suffix. */
static unsigned power_of(char c) {
	char upper = (char)(c & ~0x20);
	for (unsigned i = 0; i < 4; i++) {
		if (letters[i] == upper)
			return i + 1;
	}
	return 0;
}

int size_parse(const char *text, uint64_t *bytes) {
	uint64_t v = 0;
	bool fits = true;
	const char *p = text;

	if (*p < '0' || *p > '9')
		return ATOMDB_E_SYNTAX;
	for (; *p >= '0' && *p <= '9'; p++)
		fits = fits && !__builtin_mul_overflow(v, 10, &v) &&
		       !__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v);
	unsigned power = power_of(*p);
	if (power > 0)
		p++;
	if (*p == 'B' || *p == 'b')
		p++;
	if (*p != '\0')
		return ATOMDB_E_SYNTAX;
	if (!fits || v > (uint64_t)INT64_MAX >> (10 * power))
		return ATOMDB_E_RANGE;
	*bytes = v << (10 * power);
	return 0;
}

void size_format(uint64_t bytes, char *out, size_t out_size) {
	if (bytes < 1024) {
		snprintf(out, out_size, "%" PRIu64 "B", bytes);
		return;
	}
	unsigned power = 1;
	while (power < 5 && bytes >> (10 * (power + 1)) > 0)
		power++;
	snprintf(out, out_size, "%.2f%c", (double)bytes / (double)(UINT64_C(1) << (10 * power)), letters[power - 1]);
}
