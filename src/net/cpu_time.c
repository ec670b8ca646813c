#include "net/cpu_time.h"

#include <sys/resource.h>

#define MEASURE_NS UINT64_C(100000000)
/* Fewer ticks than this do not give a rate: the kernel's figures are not so precise. */
#define MEASURE_TICKS (UINT64_C(1) << 20)

static uint64_t nanoseconds(struct timeval t) {
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

static uint64_t rate_of(uint64_t ns, uint64_t ticks) {
	return (uint64_t)((double)ns / (double)ticks * (double)(1u << CPU_RATE_BITS));
}

static void measure(struct cpu_time *c) {
	struct rusage usage;
	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		return;
	uint64_t user_ns = nanoseconds(usage.ru_utime), system_ns = nanoseconds(usage.ru_stime);
	if (c->busy != 0) {
		c->user_rate = rate_of(user_ns - c->user_ns, c->busy);
		c->system_rate = rate_of(system_ns - c->system_ns, c->busy);
	}
	c->user_ns = user_ns;
	c->system_ns = system_ns;
	c->measured_ns = c->now_ns;
	c->busy = 0;
}

void cpu_time_start(struct cpu_time *c, double rate, uint64_t now_ns) {
	*c = (struct cpu_time){
		.started = true, .now_ns = now_ns, .user_rate = (uint64_t)(rate * (double)(1u << CPU_RATE_BITS))};
	measure(c);
}

void cpu_time_end_turn(struct cpu_time *c, uint64_t ticks) {
	c->busy += ticks;
	if (!c->started)
		return;
	if (__builtin_expect(c->now_ns - c->measured_ns >= MEASURE_NS, 0) && c->busy >= MEASURE_TICKS)
		measure(c);
}
