/* Counts that outlive the process, in a memfd that systemd keeps. */
#pragma once

#include <stdint.h>

#include "atomdb/store/shard.h"

struct restart_counters {
	uint64_t magic;    /* identifies the memfd */
	uint64_t restarts; /* starts that found the data as the process before left it */
	uint64_t crashes;  /* starts that rebuilt the data */
	uint64_t dropped;  /* damaged blocks of all starts */
};

/* Adds a start, and the blocks that it dropped, to the counters in `fd`, which it takes over. If `fd` is -1 or no such
 * file, makes a new one and gives it to systemd. Returns the counts, all 0 if no file can be made. */
struct restart_counters restart_counters_add(int fd, enum recovery_kind start, uint64_t dropped);
