/* Counters that one thread writes and any thread reads.
 *
 * Because there is one writer, a relaxed load and a relaxed store are enough. They compile to the same instruction as
 * an ordinary addition, without a lock prefix. Readers on other threads cause no data race. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline uint64_t counter_get(const counter *c) {
	return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void counter_set(counter *c, uint64_t value) {
	atomic_store_explicit(c, value, memory_order_relaxed);
}

static inline void counter_add(counter *c, uint64_t n) {
	counter_set(c, counter_get(c) + n);
}

static inline void counter_sub(counter *c, uint64_t n) {
	counter_set(c, counter_get(c) - n);
}
