/* The kernel's figures of this process, for the process_ metrics. */
#pragma once

#include <stdint.h>

/* The value of a figure that the kernel does not report. */
#define PROCESS_UNKNOWN UINT64_MAX

struct process_counters {
	uint64_t cpu_user_us;
	uint64_t cpu_system_us;
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
};

void process_read(struct process_counters *out);

/* Returns the start of the process in milliseconds since 1970, or PROCESS_UNKNOWN. The kernel rounds it to its clock
 * tick, and shifts it when the clock is set: call it only once. */
uint64_t process_start_ms(void);
