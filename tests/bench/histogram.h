/* A latency histogram: buckets of at most 1.6 % width from 1 ns to 9 minutes, in constant memory. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((40 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts one duration; what is over the range counts in the last bucket. */
void histogram_add(struct histogram *h, uint64_t ns);
/* The duration in ns under which `share` (0 to 1) of those counted lie; 0 when there are none. */
uint64_t histogram_at(const struct histogram *h, double share);
/* Prints ,"p50_ns":…,"p99_ns":…,"p999_ns":…,"max_ns":… to stdout. */
void histogram_print(const struct histogram *h);
