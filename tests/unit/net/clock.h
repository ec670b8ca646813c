/* A clock that the test sets and advances. It replaces the clock of util. */
#pragma once

#include "server.h"

#define HOUR_MS 3600000
#define YEAR_MS INT64_C(31536000000)

static _Atomic int64_t shift_ms;  /* wall-clock offset */
static _Atomic int64_t passed_ms; /* offset in addition to the real time */

static int64_t read_ns(clockid_t which) {
	struct timespec t;
	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_realtime_ms(void) {
	return read_ns(CLOCK_REALTIME) / 1000000 + atomic_load(&shift_ms);
}

int64_t clock_realtime_us(void) {
	return read_ns(CLOCK_REALTIME) / 1000 + atomic_load(&shift_ms) * 1000;
}

#ifdef ATOMDB_TEST_HOOKS
int64_t clock_test_shift_ms(void) {
	return atomic_load(&shift_ms);
}
#endif

uint64_t clock_monotonic_ns(void) {
	return (uint64_t)(read_ns(CLOCK_MONOTONIC) + atomic_load(&passed_ms) * 1000000);
}

void clock_rate_init(struct clock_rate *start) {
	start->ticks = start->ns = 0;
}

double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks) {
	(void)start;
	return (double)ticks / 1e9;
}

/* Waits until every worker has read the clocks again and has done the due work. */
static inline void take_turns(struct server *s) {
	unsigned turns[WORKERS];
	for (unsigned i = 0; i < WORKERS; i++) {
		turns[i] = (unsigned)counter_get(&worker_counters(s->workers[i])->turns);
		worker_ping(s->workers[i]);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		wait_for((unsigned)counter_get(&worker_counters(s->workers[i])->turns) != turns[i]);
}

static inline void set_clock(struct server *s, int64_t by_ms) {
	atomic_store(&shift_ms, by_ms);
	take_turns(s);
}

/* Advances the clock for every worker. */
static inline void pass(struct server *s, int64_t ms) {
	atomic_fetch_add(&passed_ms, ms);
	take_turns(s);
}
