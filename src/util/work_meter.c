#include "atomdb/util/work_meter.h"

#include <stddef.h>

/* The linker defines it. */
extern const char __executable_start[] __attribute__((weak));

_Thread_local struct work_meter work_meter;

void work_meter_mark(void) {
	struct work_meter *m = &work_meter;
	const void *here = __builtin_return_address(0);
	if (m->done - m->begin > m->longest) {
		m->longest = m->done - m->begin;
		m->longest_from = m->from;
		m->longest_to = here;
	}
	m->begin = m->done;
	m->from = here;
}

void work_meter_reset(void) {
	struct work_meter *m = &work_meter;
	m->longest = 0;
	m->longest_from = m->longest_to = NULL;
	m->begin = m->done;
	m->from = __builtin_return_address(0);
}

uint64_t work_meter_offset(const void *address) {
	return (uintptr_t)address - (uintptr_t)__executable_start;
}
