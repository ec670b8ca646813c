#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/secure_memory.h"
#include "harness.h"

/* Finds the flags of the mapping that contains `at` in /proc/self/smaps. */
static void find_flags(const void *at, char *out, size_t size) {
	char line[512];
	uintptr_t begin, end;
	bool inside = false;
	FILE *maps = fopen("/proc/self/smaps", "re");
	assert_non_null(maps);
	*out = '\0';
	while (*out == '\0' && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			inside = begin <= (uintptr_t)at && (uintptr_t)at < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, size, "%s", line + 8);
	}
	fclose(maps);
}

static void core_dumps_exclude_it(void **state) {
	(void)state;
	char flags[512];
	char *bytes = secure_alloc(100000);
	assert_non_null(bytes);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 'x', 100000);
	find_flags(bytes + 99999, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));
	secure_free(bytes, 100000);
	secure_free(NULL, 1);
}

static void too_large_an_allocation_fails(void **state) {
	(void)state;
	assert_null(secure_alloc(SIZE_MAX / 2));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_dumps_exclude_it),
		cmocka_unit_test(too_large_an_allocation_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
