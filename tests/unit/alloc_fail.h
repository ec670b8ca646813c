/* Makes the Nth allocation of the code under test fail. tests/CMakeLists.txt links the tests that include this file
 * with --wrap for malloc, calloc and realloc. Allocations of libraries are not affected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Decremented by every allocation; the one that finds 1 fails. 0: none fails. */
static uint64_t alloc_fail_at;
/* Number of allocations since the test set it to 0. */
static uint64_t alloc_fail_seen;

static inline bool alloc_fails_now(void) {
	alloc_fail_seen++;
	return alloc_fail_at > 0 && --alloc_fail_at == 0;
}

void *__wrap_malloc(size_t size) {
	return alloc_fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
	return alloc_fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size) {
	return alloc_fails_now() ? NULL : __real_realloc(old, size);
}
