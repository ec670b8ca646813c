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

/* Converts the ticks that follow at the rate of those since the last measurement. Returns the CPU time of the thread in
 * between, in nanoseconds. */
static uint64_t measure(struct cpu_time *c) {
	struct rusage usage;
	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		return 0;
	uint64_t user_ns = nanoseconds(usage.ru_utime), system_ns = nanoseconds(usage.ru_stime);
	uint64_t used_ns = user_ns - c->user_ns + (system_ns - c->system_ns);
	if (c->started && c->busy != 0) {
		c->user_rate = rate_of(user_ns - c->user_ns, c->busy);
		c->system_rate = rate_of(system_ns - c->system_ns, c->busy);
	}
	c->user_ns = user_ns;
	c->system_ns = system_ns;
	c->measured_ns = c->now_ns;
	c->busy = 0;
	return used_ns;
}

void cpu_time_start(struct cpu_time *c, double rate, uint64_t now_ns) {
	*c = (struct cpu_time){
		.started = true, .now_ns = now_ns, .user_rate = (uint64_t)(rate * (double)(1u << CPU_RATE_BITS))};
	(void)measure(c);
}

void cpu_time_end_turn(struct cpu_time *c, uint64_t ticks) {
	c->busy += ticks;
	if (!c->started)
		return;
	if (__builtin_expect(c->now_ns - c->measured_ns >= MEASURE_NS, 0) && c->busy >= MEASURE_TICKS)
		(void)measure(c);
}

void cpu_time_measure_piece(struct cpu_time *c, uint64_t ticks, uint64_t *user_ns, uint64_t *system_ns) {
	uint64_t turn = c->read - c->turn, before = c->busy + turn - ticks;
	struct rusage usage;
	/* The rates are measured already if the last measurement was in this piece. */
	if (!c->started || before > c->busy + turn || getrusage(RUSAGE_THREAD, &usage) != 0)
		return;
	uint64_t user = nanoseconds(usage.ru_utime) - c->user_ns, system = nanoseconds(usage.ru_stime) - c->system_ns;
	uint64_t used = user + system, earlier = before * (c->user_rate + c->system_rate) >> CPU_RATE_BITS;
	uint64_t piece = used > earlier ? used - earlier : 0;
	if (piece < *user_ns + *system_ns) {
		*user_ns = used > 0 ? (uint64_t)((double)piece * (double)user / (double)used) : 0;
		*system_ns = piece - *user_ns;
	}
	c->user_ns += user;
	c->system_ns += system;
	c->measured_ns = c->now_ns;
	/* The end of the turn adds the ticks of the whole turn. */
	c->busy = 0 - turn;
}

uint64_t cpu_time_since(struct cpu_time *c, uint64_t since, const struct clock_rate *rate) {
	uint64_t now = clock_ticks();
	/* Before `since` the thread used no more than the whole time, which is about MEASURE_NS at most. */
	uint64_t before_ns = (uint64_t)(clock_ticks_to_seconds(rate, c->busy + (since - c->turn)) * 1e9);
	c->busy += now - c->turn;
	uint64_t used_ns = measure(c);
	/* The end of the turn adds the ticks of the whole turn. */
	c->busy -= now - c->turn;
	return used_ns > before_ns ? used_ns - before_ns : 0;
}
