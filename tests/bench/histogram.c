#include "histogram.h"

#include <inttypes.h>
#include <stdio.h>

#define SUB_COUNT (1u << HISTOGRAM_SUB_BITS)

/* Each value under SUB_COUNT has its own bucket. Above, each power of two has SUB_COUNT equal buckets. */
static unsigned bucket_of(uint64_t ns) {
	unsigned shift, index;

	if (ns < SUB_COUNT)
		return (unsigned)ns;
	shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
	index = ((shift + 1u) << HISTOGRAM_SUB_BITS) + (unsigned)((ns >> shift) & (SUB_COUNT - 1u));
	return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1u;
}

static uint64_t bucket_top(unsigned index) {
	unsigned shift;

	if (index < SUB_COUNT)
		return index;
	shift = (index >> HISTOGRAM_SUB_BITS) - 1u;
	return (((uint64_t)(SUB_COUNT + (index & (SUB_COUNT - 1u))) + 1u) << shift) - 1u;
}

void histogram_add(struct histogram *h, uint64_t ns) {
	h->count++;
	h->buckets[bucket_of(ns)]++;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

uint64_t histogram_at(const struct histogram *h, double share) {
	uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > wanted)
			return bucket_top(i) < h->max_ns ? bucket_top(i) : h->max_ns;
	}
	return h->max_ns;
}

void histogram_print(const struct histogram *h) {
	printf(",\"p50_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 ",\"p999_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64,
	       histogram_at(h, 0.5), histogram_at(h, 0.99), histogram_at(h, 0.999), h->max_ns);
}
