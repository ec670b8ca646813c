/* metrics.def says which member of which row is which metric; here is only how a page is laid out. A family whose rows
 * all lack the figure does not appear. */
#include "atomdb/observe/metrics.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "observe/sample.h"
#include "observe/text.h"

enum metric_type { COUNTER, GAUGE };

/* Decimal places of a second; counts and bytes have none. */
enum metric_unit { ONE = 0, MS = 3, US = 6, NS = 9 };

enum metric_scope {
	SCOPE_global,
	SCOPE_instance,
	SCOPE_build,
	SCOPE_database,
	SCOPE_command,
	SCOPE_tenant,
	SCOPE_worker,
	SCOPE_shard,
	SCOPE_COUNT
};

struct metric {
	const char *name;
	const char *help;
	size_t offset; /* of a uint64_t in a row of the scope */
	enum metric_scope scope;
	enum metric_type type;
	enum metric_unit unit;
};

static const struct metric metric_table[] = {
#define METRIC(scope, name, type, unit, member, help) \
	{#name, help, offsetof(struct scope##_sample, member), SCOPE_##scope, type, unit},
#include "observe/metrics.def"
#undef METRIC
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

/* Bytes of a counter's name that OpenMetrics keeps out of its head: "_total". */
#define TOTAL 6

static void write_metric(struct text *t, const struct metric *metric, enum metrics_format format,
			 const struct rows *rows) {
	size_t name_len = strlen(metric->name);
	size_t family_len = format == METRICS_OPENMETRICS && metric->type == COUNTER ? name_len - TOTAL : name_len;
	bool headed = false;
	for (size_t i = 0; i < rows->count; i++) {
		const char *row = (const char *)rows->first + i * rows->stride;
		const struct labels *labels = (const void *)row;
		uint64_t value;
		memcpy(&value, row + metric->offset, sizeof(value));
		if (value == SAMPLE_ABSENT)
			continue;
		if (!headed) {
			text_string(t, "# HELP ");
			text_bytes(t, metric->name, family_len);
			text_string(t, " ");
			text_string(t, metric->help);
			text_string(t, "\n# TYPE ");
			text_bytes(t, metric->name, family_len);
			text_string(t, metric->type == COUNTER ? " counter\n" : " gauge\n");
			headed = true;
		}
		text_bytes(t, metric->name, name_len);
		text_bytes(t, labels->text, labels->len);
		text_string(t, " ");
		text_decimal(t, value, (unsigned)metric->unit);
		text_string(t, "\n");
	}
}

int metrics_render(struct metrics *m, enum metrics_format format, struct buffer *out) {
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
		[SCOPE_tenant] = {s->tenants.rows, sizeof(s->tenants.rows[0]), s->tenants.count + 1},
		[SCOPE_worker] = {s->workers, sizeof(s->workers[0]), s->worker_count},
		[SCOPE_shard] = {s->shards, sizeof(s->shards[0]), s->shard_count},
	};
	struct text t = {.out = out};
	for (size_t i = 0; i < sizeof(metric_table) / sizeof(metric_table[0]); i++)
		write_metric(&t, &metric_table[i], format, &scopes[metric_table[i].scope]);
	if (format == METRICS_OPENMETRICS)
		text_string(&t, "# EOF\n");
	return t.error;
}
