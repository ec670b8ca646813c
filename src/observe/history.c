#include "observe/history.h"

#include <string.h>

/* The columns of the JSON form, in the order of struct history_point. */
static const char *const columns[] = {
	"number",         "at_ms",   "span_ms",     "commands",     "hits",   "misses",
	"evictions",      "expired", "input_bytes", "output_bytes", "keys",   "used_bytes",
	"resident_bytes", "clients", "tenants",     "p50_ns",       "p99_ns", "longest_ns",
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
_Static_assert(COLUMNS == 3 + HISTORY_COUNTS + HISTORY_GAUGES + 3, "each figure has a name");

static uint64_t rise(uint64_t from, uint64_t to) {
	return to > from ? to - from : 0;
}

/* Bucket k ends at 2^k units. */
static uint64_t bucket_end(unsigned k) {
	return (uint64_t)DURATION_UNIT_NS << k;
}

uint64_t history_quantile(const uint64_t runs[DURATION_BUCKETS], unsigned permille) {
	uint64_t total = 0, below = 0;
	for (unsigned k = 0; k < DURATION_BUCKETS; k++)
		total += runs[k];
	double wanted = (double)total * permille / 1000;
	for (unsigned k = 0; k < DURATION_BUCKETS; k++) {
		if (runs[k] == 0 || (double)(below + runs[k]) < wanted) {
			below += runs[k];
			continue;
		}
		/* Interpolates linearly within a bucket. */
		double begin = k == 0 ? 0 : (double)bucket_end(k - 1);
		double part = (wanted - (double)below) / (double)runs[k];
		return (uint64_t)(begin + ((double)bucket_end(k) - begin) * part);
	}
	return 0;
}

void history_init(struct history *h, uint64_t now_ns, const struct history_counters *f) {
	memset(h, 0, sizeof(*h));
	h->last_ns = now_ns;
	h->due_ns = now_ns + HISTORY_STEP_NS;
	h->last = *f;
}

bool history_is_due(const struct history *h, uint64_t now_ns) {
	return now_ns >= h->due_ns;
}

void history_add(struct history *h, uint64_t now_ns, int64_t now_ms, const struct history_counters *f) {
	struct history_point *p = &h->points[h->taken % HISTORY_POINTS];
	uint64_t runs[DURATION_BUCKETS];
	p->number = ++h->taken;
	p->at_ms = now_ms;
	p->span_ms = (now_ns - h->last_ns) / 1000000;
	for (unsigned i = 0; i < HISTORY_COUNTS; i++)
		p->counts[i] = rise(h->last.counts[i], f->counts[i]);
	memcpy(p->gauges, f->gauges, sizeof(p->gauges));
	for (unsigned k = 0; k < DURATION_BUCKETS; k++)
		runs[k] = rise(h->last.runs[k], f->runs[k]);
	p->median_ns = history_quantile(runs, 500);
	p->p99_ns = history_quantile(runs, 990);
	p->longest_ns = history_quantile(runs, 1000);
	h->last = *f;
	h->last_ns = now_ns;
	/* Steps keep their schedule. Time without a call has no steps. */
	h->due_ns += HISTORY_STEP_NS;
	if (h->due_ns <= now_ns)
		h->due_ns = now_ns + HISTORY_STEP_NS;
}

static void render_point(const struct history_point *p, struct text *t) {
	uint64_t row[COLUMNS];
	size_t n = 0;
	row[n++] = p->number;
	row[n++] = (uint64_t)p->at_ms;
	row[n++] = p->span_ms;
	for (unsigned i = 0; i < HISTORY_COUNTS; i++)
		row[n++] = p->counts[i];
	for (unsigned i = 0; i < HISTORY_GAUGES; i++)
		row[n++] = p->gauges[i];
	row[n++] = p->median_ns;
	row[n++] = p->p99_ns;
	row[n++] = p->longest_ns;
	for (size_t i = 0; i < n; i++) {
		text_string(t, i == 0 ? "[" : ",");
		text_u64(t, row[i]);
	}
	text_string(t, "]");
}

void history_render(const struct history *h, uint64_t after, struct text *t) {
	text_string(t, "{\"step_ms\":");
	text_u64(t, HISTORY_STEP_NS / 1000000);
	text_string(t, ",\"columns\":[");
	for (size_t i = 0; i < COLUMNS; i++) {
		text_string(t, i == 0 ? "\"" : ",\"");
		text_string(t, columns[i]);
		text_string(t, "\"");
	}
	text_string(t, "],\"points\":[");
	uint64_t oldest = h->taken > HISTORY_POINTS ? h->taken - HISTORY_POINTS : 0;
	uint64_t first = after > oldest ? after : oldest;
	for (uint64_t n = first; n < h->taken; n++) {
		text_string(t, n == first ? "\n" : ",\n");
		render_point(&h->points[n % HISTORY_POINTS], t);
	}
	text_string(t, "]}\n");
}
