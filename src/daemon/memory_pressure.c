#include "daemon/memory_pressure.h"

/* If less than a sixteenth of the limit is free, the kernel may end the process before it can react. AtomDB then frees
 * memory until an eighth is free, so that it need not do so again soon. Clients notice stalls of a tenth of the time.
 */
#define SHORT_SHARE 16
#define AMPLE_SHARE 8
#define STALLED     1000 /* hundredths of a percent */

static uint64_t less(uint64_t a, uint64_t b) {
	return a < b ? a : b;
}

uint64_t memory_pressure_limit(const struct memory_pressure *p, const struct cgroup_memory *m, uint64_t resident) {
	uint64_t limit = p->allowed == 0 ? UINT64_MAX : p->allowed;
	uint64_t before = p->in_force == 0 ? UINT64_MAX : p->in_force;
	bool limited = m->limit != UINT64_MAX;
	if (limited && m->room < m->limit / SHORT_SHARE) {
		uint64_t missing = m->limit / AMPLE_SHARE - m->room;
		before = less(before, resident > missing ? resident - missing : 1);
	} else if (m->stalled >= STALLED) {
		/* 0 would be no limit. */
		before = less(before, resident > 0 ? resident - resident / SHORT_SHARE : 1);
	} else if (!limited || m->room >= m->limit / AMPLE_SHARE) {
		before = limit;
	}
	/* Between the two the limit stays unchanged. */
	limit = less(limit, before);
	return limit == UINT64_MAX ? 0 : limit;
}
