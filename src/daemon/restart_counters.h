/* The restart counters: counts that outlive the process, in a memfd of their own that systemd keeps. */
#pragma once

#include <stdint.h>

#include "atomdb/store/shard.h"

struct restart_counters {
	uint64_t magic;    /* what the memfd is known by */
	uint64_t restarts; /* that found the data as it was left */
	uint64_t crashes;  /* that had to rebuild it */
	uint64_t dropped;  /* damaged blocks, all in all */
};

/* Adds a start, and the blocks that it dropped, to the restart counters in `fd`, which it takes over, or to a new one
 * where that is none (or -1), which it gives to systemd. The counts; all 0 where it cannot be kept. */
struct restart_counters restart_counters_add(int fd, enum recovery_kind start, uint64_t dropped);
