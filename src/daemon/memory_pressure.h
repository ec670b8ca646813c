/* Memory pressure: lowers the memory limit of tenants while the control group, or the machine, is short of memory.
 *
 * Without it the kernel would kill the process. For a cache, the loss of the least recently used keys is better. */
#pragma once

#include <stdint.h>

#include "daemon/cgroup.h"

/* The limit without pressure, and the limit in force, in bytes. 0: no limit. */
struct memory_pressure {
	uint64_t allowed;
	uint64_t in_force;
};

/* Returns the new limit of all tenants in bytes; 0: no limit. `resident` is their present memory in bytes. Call it
 * every second. */
uint64_t memory_pressure_limit(const struct memory_pressure *p, const struct cgroup_memory *m, uint64_t resident);
