/* How much memory the control group of this process allows, and how it stands now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The least of memory.max and memory.high, in bytes, of the group that the file `membership` names and of all above it,
 * below the directory `root`. UINT64_MAX if there is no limit or none can be read. */
uint64_t cgroup_memory_limit(const char *membership, const char *root);

struct cgroup_memory {
	uint64_t limit;   /* bytes, of the level with the least room; UINT64_MAX: no level has a limit */
	uint64_t room;    /* bytes that this level has left, the kernel's idle file cache counted as free */
	uint32_t stalled; /* how much of the last ten seconds some task of the group waited for memory, in hundredths of
			   * a percent */
};

/* Reads the group's use of memory. Returns false if no file of the group can be read. */
bool cgroup_memory_read(const char *membership, const char *root, struct cgroup_memory *out);
