/* The memory limit of the process's control group, and its present use. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Returns the lowest memory.max or memory.high, in bytes, of the group that the file `membership` names and of all its
 * ancestors below the directory `root`. UINT64_MAX if there is no limit or none can be read. */
uint64_t cgroup_memory_limit(const char *membership, const char *root);

struct cgroup_memory {
	uint64_t limit;   /* bytes, of the level with the least room; UINT64_MAX: no level has a limit */
	uint64_t room;    /* bytes that are free at this level; the kernel's idle file cache counts as free */
	uint32_t stalled; /* share of the last ten seconds in which some task of the group waited for memory, in
			     hundredths of a percent */
};

/* Reads the memory use of the group. Returns false if no file of the group can be read. */
bool cgroup_memory_read(const char *membership, const char *root, struct cgroup_memory *out);
