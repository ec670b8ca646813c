/* The ring of the last hour, with an injected clock. */
#include <stdlib.h>

#include "harness.h"
#include "observe/history.h"

#define STEP HISTORY_STEP_NS

static struct history *new_history(const struct history_counters *f) {
	struct history *h = malloc(sizeof(*h));
	assert_non_null(h);
	history_init(h, 1000, f);
	return h;
}

static char *render(const struct history *h, uint64_t after) {
	struct buffer b;
	buffer_init(&b);
	struct text t = {.out = &b};
	history_render(h, after, &t);
	assert_int_equal(t.error, 0);
	assert_int_equal(buffer_append(&b, "", 1, SIZE_MAX), 0);
	return b.data;
}

static void test_steps(void **state) {
	struct history_counters f = {.counts = {[HISTORY_HITS] = 100}};
	struct history *h = new_history(&f);
	(void)state;
	assert_false(history_is_due(h, 1000 + STEP - 1));
	assert_true(history_is_due(h, 1000 + STEP));
	f.counts[HISTORY_HITS] = 103;
	f.counts[HISTORY_COMMANDS] = 4;
	f.gauges[HISTORY_KEYS] = 7;
	f.runs[0] = 4;
	history_add(h, 1000 + STEP + 200000000, 50000, &f);
	const struct history_point *p = &h->points[0];
	assert_int_equal(p->number, 1);
	assert_int_equal(p->at_ms, 50000);
	assert_int_equal(p->span_ms, 5200);
	assert_int_equal(p->counts[HISTORY_HITS], 3);
	assert_int_equal(p->counts[HISTORY_COMMANDS], 4);
	assert_int_equal(p->gauges[HISTORY_KEYS], 7);
	assert_int_equal(p->median_ns, 512);
	assert_int_equal(p->longest_ns, 1024);
	/* The schedule of the next step does not depend on the delay of this one. */
	assert_false(history_is_due(h, 1000 + 2 * STEP - 1));
	assert_true(history_is_due(h, 1000 + 2 * STEP));
	/* A counter that decreased, and no commands. */
	f.counts[HISTORY_HITS] = 1;
	history_add(h, 1000 + 20 * STEP, 60000, &f);
	p = &h->points[1];
	assert_int_equal(p->counts[HISTORY_HITS], 0);
	assert_int_equal(p->counts[HISTORY_COMMANDS], 0);
	assert_int_equal(p->median_ns, 0);
	assert_int_equal(p->longest_ns, 0);
	/* A suspended period is one long step. */
	assert_false(history_is_due(h, 1000 + 21 * STEP - 1));
	free(h);
}

static void test_ring(void **state) {
	struct history_counters f = {.counts = {0}};
	struct history *h = new_history(&f);
	(void)state;
	char *empty = render(h, 0);
	assert_non_null(strstr(empty, "\"points\":[]}"));
	free(empty);
	for (unsigned i = 1; i <= 2 * HISTORY_POINTS + 5; i++) {
		f.counts[HISTORY_COMMANDS] += i;
		history_add(h, 1000 + i * STEP, i, &f);
	}
	char *all = render(h, 0);
	size_t rows = 0;
	for (const char *p = strstr(all, "\"points\""); (p = strchr(p + 1, '\n')) != NULL;)
		rows++;
	assert_int_equal(rows, HISTORY_POINTS + 1); /* and the end of the last line */
	assert_null(strstr(all, "\n[725,"));
	assert_non_null(strstr(all, "\n[726,726,5000,726,"));
	assert_non_null(strstr(all, "\n[1445,1445,5000,1445,"));
	free(all);
	char *some = render(h, 1444);
	assert_null(strstr(some, "\n[1444,"));
	assert_non_null(strstr(some, "\n[1445,"));
	free(some);
	char *none = render(h, UINT64_MAX);
	assert_non_null(strstr(none, "\"points\":[]}"));
	free(none);
	free(h);
}

static void test_quantiles(void **state) {
	uint64_t runs[DURATION_BUCKETS] = {0};
	(void)state;
	assert_int_equal(history_quantile(runs, 500), 0);
	runs[1] = 98; /* 1 to 2 units */
	runs[5] = 2;  /* 16 to 32 */
	assert_in_range(history_quantile(runs, 500), 1024, 2048);
	assert_int_equal(history_quantile(runs, 980), 2048);
	assert_int_equal(history_quantile(runs, 990), 24 * 1024);
	assert_int_equal(history_quantile(runs, 1000), 32 * 1024);
	memset(runs, 0, sizeof(runs));
	runs[DURATION_BUCKETS - 1] = 1;
	assert_int_equal(history_quantile(runs, 1000), UINT64_C(1024) << (DURATION_BUCKETS - 1));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_quantiles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
