/* How much memory the control group of this process allows. */
#pragma once

#include <stdint.h>

#define CGROUP_MEMBERSHIP "/proc/self/cgroup"
#define CGROUP_ROOT       "/sys/fs/cgroup"

/* The least of memory.max and memory.high, in bytes, of the group that the file `membership` names and of all above it,
 * below the directory `root`. UINT64_MAX where there is no limit or none can be read. */
uint64_t cgroup_memory_limit(const char *membership, const char *root);
