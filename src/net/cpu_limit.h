/* Delays the commands of a tenant that uses more CPU time than its cpu_limit.
 *
 * A token bucket, as a generic cell rate algorithm (ITU-T I.371): the tenant's CPU time is paid for at the rate of the
 * limit, and up to CPU_LIMIT_BURST_NS of wall-clock time may be saved. A tenant in debt waits until it has paid, and
 * CPU_LIMIT_PAUSE_NS longer, so that it does not stop after each command. */
#pragma once

#include <stdint.h>

#include "atomdb/store/tenant_state.h"

#define CPU_LIMIT_BURST_NS UINT64_C(100000000)
#define CPU_LIMIT_PAUSE_NS UINT64_C(10000000)

/* Counts `ns` of CPU time of a tenant that has a limit. `now_ns`: CLOCK_MONOTONIC. */
void cpu_limit_use(struct tenant *t, uint64_t ns, uint64_t now_ns);
