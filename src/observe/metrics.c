/* Formats the metrics page. metrics.def maps members of rows to metrics. A metric that no row has is omitted. */
#include "atomdb/observe/metrics.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "observe/sample.h"
#include "observe/text.h"

/* LASTING: a counter that continues over restarts. */
enum metric_type { COUNTER, LASTING, GAUGE, HISTOGRAM };

/* Decimal places of a unit in seconds, or of a ratio; counts and bytes have none. */
enum metric_unit { ONE = 0, MS = 3, US = 6, PPM = 6, NS = 9 };

enum metric_scope {
	SCOPE_global,
	SCOPE_instance,
	SCOPE_build,
	SCOPE_database,
	SCOPE_command,
	SCOPE_state,
	SCOPE_reject,
	SCOPE_tenant,
	SCOPE_worker,
	SCOPE_shard,
	SCOPE_use,
	SCOPE_COUNT
};

struct metric {
	const char *name;
	const char *help;
	const struct histogram_bounds *bounds; /* bounds of a histogram */
	size_t offset; /* offset of a uint64_t, or of a struct histogram_sample, in a row of the scope */
	enum metric_scope scope;
	enum metric_type type;
	enum metric_unit unit;
};

static const struct metric metric_table[] = {
#define METRIC(scope, name, type, unit, member, help) \
	{#name, help, NULL, offsetof(struct scope##_sample, member), SCOPE_##scope, type, unit},
#define HISTOGRAM(scope, name, unit, member, bounds, help) \
	{#name, help, &(bounds), offsetof(struct scope##_sample, member), SCOPE_##scope, HISTOGRAM, unit},
#include "observe/metrics.def"
#undef METRIC
#undef HISTOGRAM
};

struct metrics {
	const struct metrics_sources *sources;
	struct sample sample;
};

/* Rows of a scope: an array of structs that begin with their labels. */
struct rows {
	const void *first;
	size_t stride;
	size_t count;
};

int metrics_new(struct metrics **out, const struct metrics_sources *sources) {
	struct metrics *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->sources = sources;
	int r = sample_init(&m->sample, sources);
	if (r != 0) {
		free(m);
		return r;
	}
	*out = m;
	return 0;
}

void metrics_free(struct metrics *m) {
	if (m == NULL)
		return;
	sample_deinit(&m->sample);
	free(m);
}

/* Length of the suffix "_total", which OpenMetrics omits in the head of a counter. */
#define TOTAL 6

static void write_head(struct text *t, const struct metric *metric, size_t family_len) {
	static const char *const types[] = {
		[COUNTER] = " counter\n", [LASTING] = " counter\n", [GAUGE] = " gauge\n", [HISTOGRAM] = " histogram\n"};
	text_string(t, "# HELP ");
	text_bytes(t, metric->name, family_len);
	text_string(t, " ");
	text_string(t, metric->help);
	text_string(t, "\n# TYPE ");
	text_bytes(t, metric->name, family_len);
	text_string(t, types[metric->type]);
}

static void write_value(struct text *t, const struct metric *metric, const struct labels *labels, const char *suffix,
			uint64_t value, unsigned decimals) {
	text_string(t, metric->name);
	text_string(t, suffix);
	text_bytes(t, labels->text, labels->len);
	text_string(t, " ");
	text_decimal(t, value, decimals);
	text_string(t, "\n");
}

/* Writes a row of a histogram: its cumulative buckets. The label of the bound comes last. */
static void write_histogram(struct text *t, const struct metric *metric, const struct labels *labels,
			    const struct histogram_sample *h) {
	uint64_t count = 0;
	for (unsigned i = 0; i <= metric->bounds->count; i++) {
		count += h->counts[i];
		text_string(t, metric->name);
		text_string(t, "_bucket");
		if (labels->len > 0)
			text_bytes(t, labels->text, labels->len - 1);
		text_string(t, labels->len > 0 ? ",le=\"" : "{le=\"");
		if (i < metric->bounds->count)
			text_decimal(t, metric->bounds->first << (metric->bounds->shift * i), (unsigned)metric->unit);
		else
			text_string(t, "+Inf");
		text_string(t, "\"} ");
		text_u64(t, count);
		text_string(t, "\n");
	}
	write_value(t, metric, labels, "_sum", h->sum, (unsigned)metric->unit);
	write_value(t, metric, labels, "_count", count, 0);
}

/* Writes the time at which counting began, for OpenMetrics. Histograms and global counters begin with the server. Other
 * counters have no such line: the begin of a tenant is not recorded. */
static void write_created(struct text *t, const struct metric *metric, const struct labels *labels, size_t family_len,
			  uint64_t start_ms) {
	if (metric->type != HISTOGRAM && (metric->type != COUNTER || metric->scope != SCOPE_global))
		return;
	text_bytes(t, metric->name, family_len);
	text_string(t, "_created");
	text_bytes(t, labels->text, labels->len);
	text_string(t, " ");
	text_decimal(t, start_ms, MS);
	text_string(t, "\n");
}

/* `start_ms` is the start of the server for OpenMetrics, 0 for the other format. */
static void write_metric(struct text *t, const struct metric *metric, const struct rows *rows, uint64_t start_ms) {
	size_t name_len = strlen(metric->name);
	bool counts = metric->type == COUNTER || metric->type == LASTING;
	size_t family_len = start_ms != 0 && counts ? name_len - TOTAL : name_len;
	bool headed = false;
	for (size_t i = 0; i < rows->count; i++) {
		const char *row = (const char *)rows->first + i * rows->stride;
		const struct labels *labels = (const void *)row;
		uint64_t value = 0;
		if (metric->type != HISTOGRAM)
			memcpy(&value, row + metric->offset, sizeof(value));
		if (value == SAMPLE_ABSENT)
			continue;
		if (!headed)
			write_head(t, metric, family_len);
		headed = true;
		if (metric->type == HISTOGRAM)
			write_histogram(t, metric, labels, (const void *)(row + metric->offset));
		else
			write_value(t, metric, labels, "", value, (unsigned)metric->unit);
		if (start_ms != 0)
			write_created(t, metric, labels, family_len, start_ms);
	}
}

int metrics_render(struct metrics *m, enum metrics_format format, bool tenants, struct buffer *out) {
	struct sample *s = &m->sample;
	int r = sample_collect(s, m->sources);
	if (r != 0)
		return r;
	const struct rows scopes[SCOPE_COUNT] = {
		[SCOPE_global] = {&s->global, sizeof(s->global), 1},
		[SCOPE_instance] = {&s->instance, sizeof(s->instance), 1},
		[SCOPE_build] = {&s->build, sizeof(s->build), 1},
		[SCOPE_database] = {s->databases, sizeof(s->databases[0]), TENANT_DATABASES},
		[SCOPE_command] = {s->commands, sizeof(s->commands[0]), s->command_count},
		[SCOPE_state] = {s->states, sizeof(s->states[0]), s->state_count},
		[SCOPE_reject] = {s->rejects, sizeof(s->rejects[0]), METRICS_REJECTS},
		[SCOPE_tenant] = {s->tenants.rows, sizeof(s->tenants.rows[0]), tenants ? s->tenants.count + 1 : 0},
		[SCOPE_worker] = {s->workers, sizeof(s->workers[0]), s->worker_count},
		[SCOPE_shard] = {s->shards, sizeof(s->shards[0]), s->shard_count},
		[SCOPE_use] = {s->uses, sizeof(s->uses[0]), (size_t)s->shard_count * ARENA_USES},
	};
	struct text t = {.out = out};
	for (size_t i = 0; i < sizeof(metric_table) / sizeof(metric_table[0]); i++)
		write_metric(&t, &metric_table[i], &scopes[metric_table[i].scope],
			     format == METRICS_OPENMETRICS ? s->global.start_ms : 0);
	if (format == METRICS_OPENMETRICS)
		text_string(&t, "# EOF\n");
	return t.error;
}
