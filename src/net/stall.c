#include "net/stall.h"

#include "net/worker.h"

uint64_t stall_count(struct worker *w, uint64_t begin) {
	if (begin < w->stall_ticks)
		begin = w->stall_ticks;
	if (clock_ticks() - begin <= STALL_TICKS)
		return 0;
	uint64_t ms = cpu_time_since(&w->cpu, begin, &w->env.clock_start) / 1000000;
	w->stall_ticks = clock_ticks();
	if (ms <= STALL_MS)
		return 0;
	counter_add(&w->counters.stalls, 1);
	return ms;
}
