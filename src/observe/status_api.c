#include "atomdb/observe/status_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/history.h"
#include "observe/sample.h"
#include "observe/text.h"

struct status_api {
	const struct metrics_sources *sources;
	const struct health *health;
	struct sample sample; /* separate from the one of /metrics, whose tenants persist from page to page */
	struct history history;
};

/* A command that was called, and the durations of its runs. */
struct slow {
	unsigned id;
	uint64_t calls;
	double seconds;
};

/* Adds the runs of a command on all workers to `runs`. */
static void add_runs(const struct metrics_sources *sources, unsigned id, uint64_t runs[DURATION_BUCKETS]) {
	for (unsigned i = 0; i < sources->worker_count; i++) {
		for (unsigned k = 0; k < DURATION_BUCKETS; k++)
			runs[k] += counter_get(&sources->workers[i].commands[id].runs[k]);
	}
}

static int collect(struct status_api *v) {
	struct metrics_sources sources = *v->sources;
	sources.tenants_shown = STATUS_API_TENANTS;
	return sample_collect(&v->sample, &sources);
}

static uint64_t sum_keys(const struct sample *s) {
	uint64_t keys = 0;
	for (unsigned i = 0; i < s->shard_count; i++)
		keys += s->shards[i].keys;
	return keys;
}

static int take_counters(struct status_api *v, struct history_counters *f) {
	const struct global_sample *g = &v->sample.global;
	int error = collect(v);
	if (error != 0)
		return error;
	*f = (struct history_counters){
		.counts =
			{
				[HISTORY_COMMANDS] = g->calls,
				[HISTORY_HITS] = g->hits,
				[HISTORY_MISSES] = g->misses,
				[HISTORY_EVICTIONS] = g->evictions,
				[HISTORY_EXPIRATIONS] = g->expirations,
				[HISTORY_INPUT_BYTES] = g->input_bytes,
				[HISTORY_OUTPUT_BYTES] = g->output_bytes,
			},
		.gauges =
			{
				[HISTORY_KEYS] = sum_keys(&v->sample),
				[HISTORY_USED_BYTES] = g->memory_used,
				[HISTORY_RESIDENT_BYTES] = g->resident_bytes == SAMPLE_ABSENT ? 0 : g->resident_bytes,
				[HISTORY_CLIENTS] = g->clients,
				[HISTORY_TENANTS] = g->tenants,
			},
	};
	for (unsigned id = 0; id < COMMAND_COUNT; id++)
		add_runs(v->sources, id, f->runs);
	return 0;
}

int status_api_new(struct status_api **out, const struct metrics_sources *sources, const struct health *health,
		   uint64_t now_ns) {
	struct status_api *v = calloc(1, sizeof(*v));
	struct history_counters f;
	if (v == NULL)
		return -ENOMEM;
	v->sources = sources;
	v->health = health;
	int error = sample_init(&v->sample, sources);
	if (error == 0)
		error = take_counters(v, &f);
	if (error != 0) {
		status_api_free(v);
		return error;
	}
	history_init(&v->history, now_ns, &f);
	*out = v;
	return 0;
}

void status_api_free(struct status_api *v) {
	if (v == NULL)
		return;
	sample_deinit(&v->sample);
	free(v);
}

int status_api_tick(struct status_api *v, uint64_t now_ns, int64_t now_ms) {
	struct history_counters f;
	if (!history_is_due(&v->history, now_ns))
		return 0;
	int error = take_counters(v, &f);
	if (error == 0)
		history_add(&v->history, now_ns, now_ms, &f);
	return error;
}

/* --- JSON ------------------------------------------------------------------------------------------------------- */

/* Writes a further member of an object. */
static void member(struct text *t, const char *name, uint64_t value) {
	text_string(t, ",\"");
	text_string(t, name);
	text_string(t, "\":");
	if (value == SAMPLE_ABSENT)
		text_string(t, "null");
	else
		text_u64(t, value);
}

static void render_tenant(struct text *t, const struct tenant_sample *row, bool other) {
	text_string(t, "{\"name\":");
	if (other)
		text_string(t, "null");
	else
		text_json(t, row->name);
	member(t, "keys", row->keys);
	member(t, "bytes", row->bytes);
	member(t, "clients", row->clients);
	member(t, "quota_keys", row->quota_entries);
	member(t, "quota_bytes", row->quota_bytes);
	member(t, "commands", row->counts[COUNT_COMMANDS]);
	member(t, "hits", row->counts[COUNT_HITS]);
	member(t, "misses", row->counts[COUNT_MISSES]);
	member(t, "evictions", row->counts[COUNT_EVICTIONS]);
	member(t, "cpu_ns", row->counts[COUNT_CPU_NS]);
	text_string(t, "}");
}

static int by_bytes(const void *a, const void *b) {
	const struct tenant_sample *const *x = a, *const *y = b;
	return ((*x)->bytes < (*y)->bytes) - ((*x)->bytes > (*y)->bytes);
}

static void render_tenants(struct text *t, const struct tenant_set *set) {
	const struct tenant_sample *rows[STATUS_API_TENANTS];
	for (unsigned i = 0; i < set->count; i++)
		rows[i] = &set->rows[i];
	qsort(rows, set->count, sizeof(rows[0]), by_bytes);
	text_string(t, ",\"tenants\":[");
	for (unsigned i = 0; i < set->count; i++) {
		text_string(t, i == 0 ? "\n" : ",\n");
		render_tenant(t, rows[i], false);
	}
	text_string(t, "],\"others\":");
	/* Writes the shared row of the other tenants. */
	render_tenant(t, &set->rows[set->count], true);
}

static double mean(const struct slow *s) {
	return s->seconds / (double)s->calls;
}

/* Inserts a command into the list of the slowest. */
static void rank(struct slow slowest[STATUS_API_COMMANDS], unsigned *count, const struct slow *s) {
	unsigned at = *count;
	if (at == STATUS_API_COMMANDS && mean(&slowest[at - 1]) >= mean(s))
		return;
	if (at == STATUS_API_COMMANDS)
		at--;
	else
		++*count;
	for (; at > 0 && mean(&slowest[at - 1]) < mean(s); at--)
		slowest[at] = slowest[at - 1];
	slowest[at] = *s;
}

static void render_commands(const struct status_api *v, struct text *t) {
	struct slow slowest[STATUS_API_COMMANDS];
	unsigned count = 0;
	for (unsigned id = 0; id < COMMAND_COUNT; id++) {
		uint64_t ticks = 0;
		struct slow s = {.id = id};
		for (unsigned i = 0; i < v->sources->worker_count; i++) {
			const struct command_counters *f = &v->sources->workers[i].commands[id];
			s.calls += command_calls(f);
			ticks += counter_get(&f->ticks);
		}
		if (s.calls == 0)
			continue;
		s.seconds = clock_ticks_to_seconds(&v->sources->clock_start, ticks);
		rank(slowest, &count, &s);
	}
	text_string(t, ",\"slowest_commands\":[");
	for (unsigned i = 0; i < count; i++) {
		uint64_t runs[DURATION_BUCKETS] = {0};
		add_runs(v->sources, slowest[i].id, runs);
		text_string(t, i == 0 ? "\n{\"name\":" : ",\n{\"name\":");
		text_json(t, command_name((enum command_id)slowest[i].id));
		member(t, "calls", slowest[i].calls);
		member(t, "mean_ns", mean(&slowest[i]) > 0 ? (uint64_t)(mean(&slowest[i]) * 1e9) : 0);
		member(t, "p99_ns", history_quantile(runs, 990));
		text_string(t, "}");
	}
	text_string(t, "]");
}

static int render_service(const struct status_api *v, struct text *t) {
	const struct global_sample *g = &v->sample.global;
	text_string(t, "{\"version\":");
	text_json(t, v->sources->version);
	text_string(t, ",\"health\":");
	if (t->error == 0)
		t->error = health_render(v->health, t->out);
	member(t, "start_ms", g->start_ms);
	member(t, "uptime_ms", g->uptime_ms);
	member(t, "workers", v->sources->worker_count);
	member(t, "max_memory", g->memory_max);
	member(t, "max_clients", g->max_clients);
	member(t, "live_changes", g->live_changes);
	member(t, "restarts", g->restarts);
	member(t, "crashes", g->crashes);
	member(t, "tenants_open", g->tenants);
	member(t, "clients", g->clients);
	member(t, "rejected_clients", g->rejected_max_clients);
	member(t, "auth_failures", g->auth_failures + g->http_failures);
	member(t, "keys", sum_keys(&v->sample));
	member(t, "used_bytes", g->memory_used);
	member(t, "resident_bytes", g->resident_bytes);
	member(t, "commands", g->calls);
	member(t, "hits", g->hits);
	member(t, "misses", g->misses);
	member(t, "evictions", g->evictions);
	member(t, "expired", g->expirations);
	return t->error;
}

int status_api_render_status(struct status_api *v, bool tenants, struct buffer *out) {
	struct text t = {.out = out};
	int error = collect(v);
	if (error != 0)
		return error;
	error = render_service(v, &t);
	if (error != 0)
		return error;
	render_commands(v, &t);
	if (tenants)
		render_tenants(&t, &v->sample.tenants);
	text_string(&t, "}\n");
	return t.error;
}

int status_api_render_history(const struct status_api *v, uint64_t after, struct buffer *out) {
	struct text t = {.out = out};
	history_render(&v->history, after, &t);
	return t.error;
}
