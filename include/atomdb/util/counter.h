/* Counters that one thread writes and any thread reads.
 *
 * One writer makes a plain add enough: a relaxed load and a relaxed store compile to the same instruction as on an
 * ordinary integer, without a lock prefix, while readers on other threads stay free of data races. */
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
