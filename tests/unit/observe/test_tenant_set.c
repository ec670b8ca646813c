/* The choice of tenants with rows. No counter of a row decreases. */
#include <stdio.h>
#include <stdlib.h>

#include "atomdb/store/tenant.h"
#include "harness.h"
#include "observe/tenant_set.h"

#define MANY 300

struct world {
	struct tenant tenants[MANY];
	struct tenant_identity identities[MANY];
	bool there[MANY];
	struct retired_counters retired;
};

static struct tenant *new_tenant(struct world *w, unsigned i, const char *name) {
	struct tenant *t = &w->tenants[i];
	memset(t, 0, sizeof(*t));
	snprintf(w->identities[i].name, sizeof(w->identities[i].name), "%s", name);
	atomic_store(&t->identity, &w->identities[i]);
	w->there[i] = true;
	return t;
}

static void page(struct tenant_set *s, const struct world *w, unsigned limit) {
	assert_int_equal(tenant_set_begin(s, limit), 0);
	tenant_set_add_retired(s, &w->retired);
	for (unsigned i = 0; i < MANY; i++) {
		if (w->there[i])
			tenant_set_add(s, &w->tenants[i]);
	}
	tenant_set_finish(s);
}

static const struct tenant_sample *row(const struct tenant_set *s, const char *name) {
	for (unsigned i = 0; i <= s->count; i++) {
		if (strcmp(s->rows[i].name, name) == 0)
			return &s->rows[i];
	}
	return NULL;
}

static void test_counters_are_copied(void **state) {
	struct world *w = calloc(1, sizeof(*w));
	struct tenant_set s;
	(void)state;
	struct tenant *t = new_tenant(w, 0, "shop");
	struct tenant_counters *f = &t->counters;
	counter *counters[] = {
		&f->keys,        &f->keys_expiring,   &f->bytes,       &f->clients,      &f->quota_entries,
		&f->quota_bytes, &f->commands,        &f->hits,        &f->misses,       &f->evictions,
		&f->expirations, &f->throttled,       &f->input_bytes, &f->output_bytes, &f->lost_events,
		&f->cpu_user_ns, &f->cpu_throttled_ns};
	for (unsigned i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		counter_set(counters[i], i + 1);
	counter_set(&f->cpu_system_ns, 100);
	tenant_set_init(&s);
	page(&s, w, 5);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.tenants, 1);
	const struct tenant_sample *r = &s.rows[0];
	assert_memory_equal(r->labels.text, "{tenant=\"shop\"}", r->labels.len);
	assert_int_equal(r->keys, 1);
	assert_int_equal(r->keys_expiring, 2);
	assert_int_equal(r->bytes, 3);
	assert_int_equal(r->clients, 4);
	assert_int_equal(r->quota_entries, 5);
	assert_int_equal(r->quota_bytes, 6);
	const uint64_t counts[TENANT_COUNTS] = {7, 8, 9, 10, 11, 12, 13, 14, 15, 16 + 100, 17};
	assert_memory_equal(r->counts, counts, sizeof(counts));
	const struct tenant_sample *other = row(&s, "_other");
	assert_memory_equal(other->labels.text, "{tenant=\"_other\"}", other->labels.len);
	assert_int_equal(other->keys + other->bytes + other->counts[COUNT_HITS], 0);
	assert_true(other->quota_bytes == SAMPLE_ABSENT && other->quota_entries == SAMPLE_ABSENT);
	tenant_set_deinit(&s);
	free(w);
}

static int by_size_then_name(const void *a, const void *b) {
	const struct tenant *x = *(const struct tenant *const *)a, *y = *(const struct tenant *const *)b;
	uint64_t p = counter_get(&x->counters.bytes), q = counter_get(&y->counters.bytes);
	return p != q ? (p < q) - (p > q) : strcmp(tenant_name(x), tenant_name(y));
}

static void test_largest_are_shown(void **state) {
	struct world *w = calloc(1, sizeof(*w));
	const struct tenant *sorted[MANY];
	struct tenant_set s;
	(void)state;
	tenant_set_init(&s);
	srand(11);
	for (unsigned limit = 0; limit < MANY + 20; limit += 13) {
		uint64_t bytes = 0, hidden = 0;
		for (unsigned i = 0; i < MANY; i++) {
			char name[16];
			snprintf(name, sizeof(name), "t%u", i);
			sorted[i] = new_tenant(w, i, name);
			counter_set(&w->tenants[i].counters.bytes, (uint64_t)rand() % 200);
		}
		qsort(sorted, MANY, sizeof(sorted[0]), by_size_then_name);
		page(&s, w, limit);
		assert_int_equal(s.count, limit < MANY ? limit : MANY);
		assert_int_equal(s.tenants, MANY);
		for (unsigned i = 0; i < MANY; i++) {
			const struct tenant_sample *r = row(&s, tenant_name(sorted[i]));
			assert_int_equal(r != NULL, i < limit);
			bytes = counter_get(&sorted[i]->counters.bytes);
			if (r == NULL)
				hidden += bytes;
			else
				assert_int_equal(r->bytes, bytes);
		}
		assert_int_equal(s.rows[s.count].bytes, hidden);
		for (unsigned i = 1; i < s.count; i++)
			assert_true(strcmp(s.rows[i - 1].name, s.rows[i].name) < 0);
	}
	tenant_set_deinit(&s);
	free(w);
}

static void test_names_are_unique(void **state) {
	struct world *w = calloc(1, sizeof(*w));
	struct tenant_set s;
	(void)state;
	tenant_set_init(&s);
	for (unsigned i = 0; i < 4; i++) {
		struct tenant *t = new_tenant(w, i, i < 3 ? "same" : "_other");
		counter_set(&t->counters.bytes, 10 + i);
		counter_set(&t->counters.keys, 1);
		counter_set(&t->counters.hits, 100);
	}
	page(&s, w, 10);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.tenants, 4);
	assert_int_equal(s.rows[0].bytes, 12);
	assert_int_equal(s.rows[1].bytes, 10 + 11 + 13);
	assert_int_equal(s.rows[1].keys, 3);
	assert_int_equal(s.rows[1].counts[COUNT_HITS], 300);
	tenant_set_deinit(&s);
	free(w);
}

static void retire(struct world *w, unsigned i) {
	counter_add(&w->retired.hits, counter_get(&w->tenants[i].counters.hits));
	w->there[i] = false;
}

/* The values of the previous page by tenant, as a scraper has them. */
struct scraped {
	bool there[MANY];
	uint64_t hits[MANY];
};

/* Makes a page of the random world, compares it with the previous one, and returns the increase of all rows together.
 */
static uint64_t scrape(const struct tenant_set *s, const struct world *w, struct scraped *last, uint64_t *last_other) {
	uint64_t rise = s->rows[s->count].counts[COUNT_HITS] - *last_other;
	assert_true(s->rows[s->count].counts[COUNT_HITS] >= *last_other);
	for (unsigned i = 0; i < MANY; i++) {
		const struct tenant_sample *r = w->there[i] ? row(s, tenant_name(&w->tenants[i])) : NULL;
		if (r != NULL && last->there[i])
			rise += r->counts[COUNT_HITS] - last->hits[i];
		last->there[i] = r != NULL;
		last->hits[i] = r != NULL ? r->counts[COUNT_HITS] : 0;
	}
	*last_other = s->rows[s->count].counts[COUNT_HITS];
	return rise;
}

static void test_counters_never_decrease(void **state) {
	struct world *w = calloc(1, sizeof(*w));
	struct scraped last = {0};
	struct tenant_set s;
	uint64_t counted = 0, risen = 0, other = 0;
	unsigned born = 0;
	(void)state;
	tenant_set_init(&s);
	srand(7);
	page(&s, w, 3);
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned step = 0; step < 4; step++) {
			unsigned i = (unsigned)rand() % 12;
			if (!w->there[i]) {
				char name[16];
				snprintf(name, sizeof(name), "t%u", born++);
				new_tenant(w, i, name);
			} else if (rand() % 10 == 0) {
				retire(w, i);
				last.there[i] = false;
			} else {
				unsigned hits = (unsigned)rand() % 50;
				counter_add(&w->tenants[i].counters.hits, hits);
				counter_set(&w->tenants[i].counters.bytes, (uint64_t)rand() % 1000);
				counted += hits;
			}
		}
		page(&s, w, 1 + (unsigned)rand() % 6);
		assert_int_equal(s.total[COUNT_HITS], counted);
		risen += scrape(&s, w, &last, &other);
	}
	/* The increases of all rows sum to the increase of the total. */
	assert_int_equal(risen, counted);
	tenant_set_deinit(&s);
	free(w);
}

static void test_the_shared_row_is_empty_if_all_tenants_are_shown(void **state) {
	struct world *w = calloc(1, sizeof(*w));
	struct tenant_set s;
	(void)state;
	tenant_set_init(&s);
	counter_set(&new_tenant(w, 0, "a")->counters.hits, 5);
	counter_set(&new_tenant(w, 1, "b")->counters.hits, 6);
	page(&s, w, 9);
	assert_int_equal(row(&s, "_other")->counts[COUNT_HITS], 0);
	counter_add(&w->tenants[0].counters.hits, 50);
	page(&s, w, 9);
	assert_int_equal(row(&s, "_other")->counts[COUNT_HITS], 0);
	/* A tenant that ends adds its last hits to the shared row, and the sum is unchanged. */
	counter_add(&w->tenants[0].counters.hits, 3);
	retire(w, 0);
	page(&s, w, 9);
	assert_int_equal(row(&s, "_other")->counts[COUNT_HITS], 3);
	assert_int_equal(s.total[COUNT_HITS], 64);
	/* Another tenant of the same name starts at 0. */
	counter_set(&new_tenant(w, 0, "a")->counters.hits, 2);
	page(&s, w, 9);
	assert_int_equal(row(&s, "a")->counts[COUNT_HITS], 2);
	assert_int_equal(s.total[COUNT_HITS], 66);
	tenant_set_deinit(&s);
	free(w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters_are_copied),
		cmocka_unit_test(test_largest_are_shown),
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_counters_never_decrease),
		cmocka_unit_test(test_the_shared_row_is_empty_if_all_tenants_are_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
