/* What the kernel tells about this process: the process_ metrics. */
#pragma once

#include <stdint.h>

/* What the kernel does not tell is PROCESS_UNKNOWN. */
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

/* When the process started: milliseconds since 1970, or PROCESS_UNKNOWN. Rounded by the kernel to its clock tick, and
 * moved when the clock is set: ask once. */
uint64_t process_start_ms(void);
