/* One pass finds the largest tenants, with a heap whose top is the smallest tenant in it. A larger tenant replaces the
 * top, which is then added to the shared row. Another one is added to the shared row at once.
 *
 * Across pages, each shown tenant has a base: its counters when it got its row, or 0 on the first page. Its counters
 * minus the base are the part that it counted while shown. */
#include "observe/tenant_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/tenant.h"

/* Name of the shared row. No tenant has a row of this name. */
static const char other_name[] = "_other";

struct tenant_shown {
	char name[TENANT_NAME_MAX + 1];
	uint64_t base[TENANT_COUNTS];
	uint64_t seen[TENANT_COUNTS]; /* on the last page */
};

void tenant_set_init(struct tenant_set *s) {
	memset(s, 0, sizeof(*s));
}

void tenant_set_deinit(struct tenant_set *s) {
	free(s->rows);
	free(s->heap);
	free(s->shown);
	free(s->next);
	memset(s, 0, sizeof(*s));
}

/* Grows `*array` to `count` elements, and keeps its contents. */
static bool grow(void *array, size_t count, size_t size) {
	void *old, *new;
	memcpy(&old, array, sizeof(old));
	new = reallocarray(old, count, size);
	if (new == NULL)
		return false;
	memcpy(array, &new, sizeof(new));
	return true;
}

int tenant_set_begin(struct tenant_set *s, unsigned limit) {
	if (limit > s->capacity || s->rows == NULL) {
		size_t count = (size_t)limit + 1;
		if (!grow(&s->rows, count, sizeof(*s->rows)) || !grow(&s->heap, count, sizeof(*s->heap)) ||
		    !grow(&s->shown, count, sizeof(*s->shown)) || !grow(&s->next, count, sizeof(*s->next)))
			return -ENOMEM;
		s->capacity = limit;
	}
	s->limit = limit;
	s->count = 0;
	s->tenants = s->orphans = s->orphaned_keys = s->orphaned_bytes = 0;
	memset(s->total, 0, sizeof(s->total));
	/* The shared row is made at the end of the array, and moves behind the others when their number is known. */
	memset(&s->rows[limit], 0, sizeof(s->rows[limit]));
	return 0;
}

/* In millionths. */
static uint64_t ratio(uint64_t used, uint64_t quota) {
	return quota == 0 ? SAMPLE_ABSENT : (uint64_t)((double)used / (double)quota * 1e6);
}

static void sample_tenant(struct tenant_sample *row, const struct tenant *t) {
	const struct tenant_counters *f = &t->counters;
	snprintf(row->name, sizeof(row->name), "%s", tenant_name(t));
	row->labels.len = 0;
	row->keys = counter_get(&f->keys);
	row->keys_expiring = counter_get(&f->keys_expiring);
	row->bytes = counter_get(&f->bytes);
	row->clients = counter_get(&f->clients);
	row->quota_entries = counter_get(&f->quota_entries);
	row->quota_bytes = counter_get(&f->quota_bytes);
	row->keys_ratio = ratio(row->keys, row->quota_entries);
	row->bytes_ratio = ratio(row->bytes, row->quota_bytes);
	row->orphaned = tenant_orphaned(t) ? 1 : SAMPLE_ABSENT;
	row->counts[COUNT_COMMANDS] = counter_get(&f->commands);
	row->counts[COUNT_HITS] = counter_get(&f->hits);
	row->counts[COUNT_MISSES] = counter_get(&f->misses);
	row->counts[COUNT_EVICTIONS] = counter_get(&f->evictions);
	row->counts[COUNT_EXPIRATIONS] = counter_get(&f->expirations);
	row->counts[COUNT_THROTTLED] = counter_get(&f->throttled);
	row->counts[COUNT_INPUT_BYTES] = counter_get(&f->input_bytes);
	row->counts[COUNT_OUTPUT_BYTES] = counter_get(&f->output_bytes);
	row->counts[COUNT_LOST_EVENTS] = counter_get(&f->lost_events);
	row->counts[COUNT_CPU_NS] = counter_get(&f->cpu_user_ns) + counter_get(&f->cpu_system_ns);
	row->counts[COUNT_CPU_THROTTLED_NS] = counter_get(&f->cpu_throttled_ns);
}

/* Adds the gauges of a tenant to the shared row. Its counters are part of the total. */
static void hide(struct tenant_sample *other, const struct tenant_sample *row) {
	other->keys += row->keys;
	other->keys_expiring += row->keys_expiring;
	other->bytes += row->bytes;
	other->clients += row->clients;
}

/* Returns whether `a` is smaller than `b`. Names decide between equals, so that pages are stable. */
static bool smaller(const struct tenant_sample *a, const struct tenant_sample *b) {
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes;
	return strcmp(a->name, b->name) > 0;
}

static void heap_swap(struct tenant_set *s, unsigned i, unsigned j) {
	unsigned row = s->heap[i];
	s->heap[i] = s->heap[j];
	s->heap[j] = row;
}

static void heap_up(struct tenant_set *s, unsigned i) {
	while (i > 0 && smaller(&s->rows[s->heap[i]], &s->rows[s->heap[(i - 1) / 2]])) {
		heap_swap(s, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static void heap_down(struct tenant_set *s, unsigned i) {
	for (;;) {
		unsigned least = i;
		for (unsigned child = 2 * i + 1; child <= 2 * i + 2 && child < s->count; child++) {
			if (smaller(&s->rows[s->heap[child]], &s->rows[s->heap[least]]))
				least = child;
		}
		if (least == i)
			return;
		heap_swap(s, i, least);
		i = least;
	}
}

void tenant_set_add(struct tenant_set *s, const struct tenant *t) {
	struct tenant_sample *other = &s->rows[s->limit];
	struct tenant_sample row;
	sample_tenant(&row, t);
	s->tenants++;
	if (tenant_orphaned(t)) {
		s->orphans++;
		s->orphaned_keys += row.keys;
		s->orphaned_bytes += row.bytes;
	}
	for (unsigned i = 0; i < TENANT_COUNTS; i++)
		s->total[i] += row.counts[i];
	if (s->limit == 0 || strcmp(row.name, other_name) == 0) {
		hide(other, &row);
	} else if (s->count < s->limit) {
		s->rows[s->count] = row;
		s->heap[s->count] = s->count;
		heap_up(s, s->count++);
	} else if (smaller(&s->rows[s->heap[0]], &row)) {
		hide(other, &s->rows[s->heap[0]]);
		s->rows[s->heap[0]] = row;
		heap_down(s, 0);
	} else {
		hide(other, &row);
	}
}

void tenant_set_add_retired(struct tenant_set *s, const struct retired_counters *r) {
	s->total[COUNT_COMMANDS] += counter_get(&r->commands);
	s->total[COUNT_HITS] += counter_get(&r->hits);
	s->total[COUNT_MISSES] += counter_get(&r->misses);
	s->total[COUNT_EVICTIONS] += counter_get(&r->evictions);
	s->total[COUNT_EXPIRATIONS] += counter_get(&r->expirations);
	s->total[COUNT_THROTTLED] += counter_get(&r->throttled);
	s->total[COUNT_INPUT_BYTES] += counter_get(&r->input_bytes);
	s->total[COUNT_OUTPUT_BYTES] += counter_get(&r->output_bytes);
}

/* Sorts by name, then by size, the larger first. */
static int compare_rows(const void *a, const void *b) {
	const struct tenant_sample *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order != 0 ? order : (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* Keeps one row of each name. Two tenants have the same name while a removed tenant ends and its successor exists
 * already, or if the fingerprints of two secrets collide. Two rows of one name would make the page invalid. */
static void drop_duplicates(struct tenant_set *s, struct tenant_sample *other) {
	unsigned kept = 0;
	for (unsigned i = 0; i < s->count; i++) {
		if (kept > 0 && strcmp(s->rows[kept - 1].name, s->rows[i].name) == 0) {
			hide(other, &s->rows[i]);
			continue;
		}
		if (kept != i)
			s->rows[kept] = s->rows[i];
		kept++;
	}
	s->count = kept;
}

/* The tenant is no longer shown, or is now another one of the same name. */
static void forget(struct tenant_set *s, const struct tenant_shown *old) {
	for (unsigned i = 0; i < TENANT_COUNTS; i++)
		s->past[i] += old->seen[i] - old->base[i];
}

static bool ran_backwards(const struct tenant_shown *old, const struct tenant_sample *row) {
	for (unsigned i = 0; i < TENANT_COUNTS; i++) {
		if (row->counts[i] < old->seen[i])
			return true;
	}
	return false;
}

/* Merges the rows of this page and of the last one, both sorted by name. */
static void follow_shown(struct tenant_set *s) {
	unsigned at = 0;
	for (unsigned i = 0; i < s->count; i++) {
		const struct tenant_sample *row = &s->rows[i];
		struct tenant_shown *now = &s->next[i];
		int order = 1;
		while (at < s->shown_count && (order = strcmp(s->shown[at].name, row->name)) < 0)
			forget(s, &s->shown[at++]);
		bool same = at < s->shown_count && order == 0;
		if (same && ran_backwards(&s->shown[at], row)) {
			forget(s, &s->shown[at++]);
			same = false;
		}
		memcpy(now->name, row->name, sizeof(now->name));
		memcpy(now->seen, row->counts, sizeof(now->seen));
		if (same)
			memcpy(now->base, s->shown[at++].base, sizeof(now->base));
		else if (s->begun)
			memcpy(now->base, row->counts, sizeof(now->base));
		else
			memset(now->base, 0, sizeof(now->base));
	}
	while (at < s->shown_count)
		forget(s, &s->shown[at++]);
	struct tenant_shown *swap = s->shown;
	s->shown = s->next;
	s->next = swap;
	s->shown_count = s->count;
	s->begun = true;
}

void tenant_set_finish(struct tenant_set *s) {
	struct tenant_sample other = s->rows[s->limit];
	qsort(s->rows, s->count, sizeof(*s->rows), compare_rows);
	drop_duplicates(s, &other);
	follow_shown(s);
	memcpy(other.counts, s->total, sizeof(other.counts));
	for (unsigned i = 0; i < TENANT_COUNTS; i++) {
		uint64_t shown = s->past[i];
		for (unsigned j = 0; j < s->count; j++)
			shown += s->shown[j].seen[i] - s->shown[j].base[i];
		other.counts[i] = other.counts[i] > shown ? other.counts[i] - shown : 0;
		/* Tenants of the same name can swap rows. Then the counter keeps its value until the sum exceeds it. */
		if (other.counts[i] < s->other[i])
			other.counts[i] = s->other[i];
		s->other[i] = other.counts[i];
	}
	other.quota_entries = other.quota_bytes = other.keys_ratio = other.bytes_ratio = SAMPLE_ABSENT;
	other.orphaned = SAMPLE_ABSENT;
	for (unsigned i = 0; i < s->count; i++)
		labels_add(&s->rows[i].labels, "tenant", s->rows[i].name);
	labels_add(&other.labels, "tenant", other_name);
	memcpy(other.name, other_name, sizeof(other_name));
	s->rows[s->count] = other;
}
