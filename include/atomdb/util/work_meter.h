/* Measures the longest piece of work between two points at which a worker can turn to other clients, for tests.
 *
 * A unit of work is a basic block of the program, or a few bytes that a function of the C library copies, sends or
 * frees (tests/hooks/count_work.c): about a nanosecond. Counts do not depend on the speed and the load of the machine.
 * Each thread has its own meter. Builds without ATOMDB_TEST_HOOKS count nothing. */
#pragma once

#include <stdint.h>

struct work_meter {
	uint64_t done;  /* units, since the thread began */
	uint64_t begin; /* `done` at the last point */
	const void *from;
	/* The longest piece since work_meter_reset(): its units, and the code addresses of its two points. */
	uint64_t longest;
	const void *longest_from, *longest_to;
};

extern _Thread_local struct work_meter work_meter;

/* For work_meter_point() and tests: ends a piece of work, and begins the next. */
__attribute__((noinline)) void work_meter_mark(void);
/* Forgets the longest piece, and begins the next. */
void work_meter_reset(void);
/* Returns the distance of a code address from the beginning of the program, as addr2line reads it. */
uint64_t work_meter_offset(const void *address);

/* A point at which the worker can turn to other clients. */
static inline void work_meter_point(void) {
#ifdef ATOMDB_TEST_HOOKS
	work_meter_mark();
#endif
}
