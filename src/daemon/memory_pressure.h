/* Memory pressure: how much tenants may have while the control group, or the machine, runs short of memory.
 *
 * AtomDB is a cache to most of its tenants: what is least recently used is worth less than the process, which the
 * kernel would end. */
#pragma once

#include <stdint.h>

#include "daemon/cgroup.h"

/* The limit without pressure, and the limit in force, in bytes. 0: no limit. */
struct memory_pressure {
	uint64_t allowed;
	uint64_t in_force;
};

/* Returns the new limit of all tenants in bytes; 0: no limit. `resident` is their memory now. Called each second. */
uint64_t memory_pressure_limit(const struct memory_pressure *p, const struct cgroup_memory *m, uint64_t resident);
