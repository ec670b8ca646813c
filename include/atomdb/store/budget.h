/* The memory that all shards share a limit of: max_memory of the configuration. */
#pragma once

#include <stdint.h>

/* Taken in pages of the arenas, not per block. The limit may be changed at any time, from any thread. */
struct arena_budget {
	_Atomic uint64_t used;  /* bytes */
	_Atomic uint64_t limit; /* bytes; 0: none */
};
