/* Counters that outlive the process, in a memfd that systemd keeps. */
#pragma once

#include <stdint.h>

#include "atomdb/store/shard.h"

struct restart_counters {
	uint64_t magic;    /* magic number of the memfd */
	uint64_t restarts; /* starts that found the data intact */
	uint64_t crashes;  /* starts that rebuilt the data */
	uint64_t dropped;  /* damaged blocks, over all starts */
};

/* Adds a start, and the blocks that it dropped, to the counters in `fd`, which it takes over. If `fd` is -1 or not such
 * a file, makes a new file and stores it in systemd. Returns the counters, all 0 if no file can be made. */
struct restart_counters restart_counters_add(int fd, enum recovery_kind start, uint64_t dropped);
