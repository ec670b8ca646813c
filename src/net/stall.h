/* Finds commands that keep a worker too long without a check point, so that other tenants wait.
 *
 * The worker compares readings of clock_ticks() that it makes anyway. These count the time in which the thread waits
 * for a CPU too. So a time that seems too long is measured again as CPU time of the thread. */
#pragma once

#include <stdint.h>

struct worker;

/* A command that uses more CPU time between two check points is a stall. */
#define STALL_MS 100
/* A shorter time in clock_ticks() is no stall: STALL_MS is longer at any rate of the clock. */
#define STALL_TICKS ((uint64_t)1 << 26)

/* Counts a stall if a command that ran since `begin`, in clock_ticks(), has used more than STALL_MS of CPU time without
 * a check point. No time counts twice. Returns the milliseconds of CPU time, or 0. */
uint64_t stall_count(struct worker *w, uint64_t begin);
