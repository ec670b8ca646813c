/* A latency histogram in constant memory: 1 ns to 9 minutes, in buckets of at most 1.6 % width. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((40 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts one duration. A duration above the range counts in the last bucket. */
void histogram_add(struct histogram *h, uint64_t ns);
/* Returns the quantile `share` (0 to 1) in ns, or 0 if the histogram is empty. */
uint64_t histogram_at(const struct histogram *h, double share);
/* Prints ,"p50_ns":…,"p99_ns":…,"p999_ns":…,"max_ns":… to stdout. */
void histogram_print(const struct histogram *h);
