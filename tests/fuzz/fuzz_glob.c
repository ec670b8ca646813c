/* Input: a pattern, a NUL and a text. The match must equal that of Redis's recursion, and take at most the
 * maximum of steps. */
#include <stdint.h>
#include <string.h>

#include "../unit/util/glob_reference.h"
#include "atomdb/util/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The recursion takes exponential time. */
#define PATTERN_MOST 12
#define TEXT_MOST    16

static void check(struct slice pattern, struct slice text, bool nocase) {
	const uint64_t most = 32 + (pattern.len + 2) * (text.len + 2);
	uint64_t work = most + 1;
	bool matches = glob_match(pattern, text, nocase, &work);
	if (work == 0)
		__builtin_trap();
	if (pattern.len <= PATTERN_MOST && text.len <= TEXT_MOST && matches != reference_glob(pattern, text, nocase))
		__builtin_trap();
	(void)glob_is_costly(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const char *bytes = (const char *)data;
	const char *end = size == 0 ? NULL : memchr(bytes, '\0', size);
	size_t len = end == NULL ? size / 2 : (size_t)(end - bytes), skip = end != NULL;
	struct slice pattern = {bytes, len}, text = {bytes + len + skip, size - len - skip};
	check(pattern, text, false);
	check(pattern, text, true);
	return 0;
}
