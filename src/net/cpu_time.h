/* Measures the CPU time that a worker spends on each tenant.
 *
 * The worker reads clock_ticks() at the end of each client's work and charges the ticks since the last reading to the
 * client's tenant. clock_ticks() counts the time in which the thread waits for a CPU too. So ten times a second the
 * worker measures the CPU time of its thread by RUSAGE_THREAD, and converts the ticks that follow at that rate. If a
 * piece of work takes much longer than usual, the thread has probably waited: the piece is measured by itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/tenant_state.h"
#include "atomdb/util/clock.h"
#include "atomdb/util/work_meter.h"
#include "net/cpu_limit.h"
#include "net/share.h"

/* Bits of the fraction of a rate. */
#define CPU_RATE_BITS 24
/* A piece of work that takes more clock_ticks() is measured by itself. The limit is four times the slice of a client's
 * commands. */
#define CPU_LONG_TICKS ((uint64_t)1 << 24)

struct cpu_time {
	struct tenant *tenant; /* of the client that is being served, or NULL */
	bool started;          /* false: no time passes for the tenants, as tests need it */
	uint64_t turn;         /* clock_ticks() at the begin of this turn */
	uint64_t read;         /* clock_ticks() at the last reading */
	uint64_t user_rate;    /* nanoseconds of a tick in user mode, times 2^CPU_RATE_BITS */
	uint64_t system_rate;  /* nanoseconds of a tick in the kernel, times 2^CPU_RATE_BITS */
	/* At and since the last measurement of the rates. */
	uint64_t now_ns;      /* CLOCK_MONOTONIC of this turn */
	uint64_t busy;        /* ticks of all turns since then */
	uint64_t measured_ns; /* CLOCK_MONOTONIC */
	uint64_t user_ns;     /* of the thread */
	uint64_t system_ns;   /* of the thread */
};

/* Begins to measure the calling thread. `rate` is the assumed length of a tick in nanoseconds, until it is measured. */
void cpu_time_start(struct cpu_time *c, double rate, uint64_t now_ns);

/* A turn of the loop begins at the reading `ticks`, and `now_ns` by CLOCK_MONOTONIC. */
static inline void cpu_time_begin_turn(struct cpu_time *c, uint64_t ticks, uint64_t now_ns) {
	c->turn = c->read = ticks;
	c->now_ns = now_ns;
	c->tenant = NULL;
}

/* A turn of `ticks` ends. */
void cpu_time_end_turn(struct cpu_time *c, uint64_t ticks);

/* Measures, and returns the nanoseconds of CPU time of the thread since the reading `since` in this turn, or less if
 * the thread had to wait for a CPU shortly before. */
uint64_t cpu_time_since(struct cpu_time *c, uint64_t since, const struct clock_rate *rate);

/* The ticks since the last reading are for `t`. NULL: they are for no tenant. The caller calls cpu_time_leave() before
 * `t` can end. */
static inline void cpu_time_enter(struct cpu_time *c, struct tenant *t) {
	c->tenant = t;
}

/* Replaces the CPU time of a long piece of work, which ended at the last reading, by a measured one. */
void cpu_time_measure_piece(struct cpu_time *c, uint64_t ticks, uint64_t *user_ns, uint64_t *system_ns);

/* Charges the ticks since the last reading, and counts them in the tenant's share and its limit. */
static inline void cpu_time_leave(struct cpu_time *c) {
	struct tenant *t = c->tenant;
	work_meter_point();
	uint64_t now = clock_ticks(), ticks = now - c->read;
	c->read = now;
	c->tenant = NULL;
	if (t == NULL)
		return;
	uint64_t user_ns = ticks * c->user_rate >> CPU_RATE_BITS, system_ns = ticks * c->system_rate >> CPU_RATE_BITS;
	if (__builtin_expect(ticks > CPU_LONG_TICKS, 0))
		cpu_time_measure_piece(c, ticks, &user_ns, &system_ns);
	counter_add(&t->counters.cpu_user_ns, user_ns);
	counter_add(&t->counters.cpu_system_ns, system_ns);
	share_use(t, user_ns + system_ns);
	if (__builtin_expect(t->limits.cpu_limit != 0, 0))
		cpu_limit_use(t, user_ns + system_ns, c->now_ns);
}
