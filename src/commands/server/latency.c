/* LATENCY: seconds in which commands of the tenant took longer than latency-monitor-threshold, and histograms of every
 * command if latency-tracking is on. */
#include <stdio.h>

#include "atomdb/commands/table.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/util/fiber.h"
#include "commands/handlers.h"

/* The graph: rows of bars, each three steps high, then the labels, written downwards. */
#define GRAPH_COLUMNS 80
#define GRAPH_ROWS    4
#define GRAPH_STEPS   3
#define LABEL_MAX     24
#define TEXT_MAX      256

/* Returns the series of an event by name or by number, or NULL if it never occurred. */
static struct latency_series *series_at(const struct session *s, unsigned i) {
	struct tenant_stats *n = s->tenant->clients.tenant_stats;
	return n == NULL || n->events == NULL || n->events[i].worst == 0 ? NULL : &n->events[i];
}

static struct latency_series *series_of(const struct session *s, struct slice name) {
	for (unsigned i = 0; i < LATENCY_EVENTS; i++) {
		if (slice_equal(name, slice_of(latency_event_name(i))))
			return series_at(s, i);
	}
	return NULL;
}

/* Returns the i-th oldest sample, or NULL beyond the last. */
static const struct latency_sample *sample_at(const struct latency_series *e, unsigned i) {
	unsigned first = e->samples[e->next].time_s == 0 ? 0 : e->next;
	const struct latency_sample *sample = &e->samples[(first + i) % LATENCY_SAMPLES];
	return i < LATENCY_SAMPLES && sample->time_s != 0 ? sample : NULL;
}

static unsigned count_samples(const struct latency_series *e) {
	unsigned count = 0;
	while (e != NULL && sample_at(e, count) != NULL)
		count++;
	return count;
}

enum outcome cmd_latency_latest(struct session *s, const struct request *r) {
	(void)r;
	struct writer *w = s->reply;
	size_t mark = writer_mark(w), count = 0;
	for (unsigned i = 0; i < LATENCY_EVENTS; i++) {
		const struct latency_series *e = series_at(s, i);
		if (e == NULL)
			continue;
		const struct latency_sample *last = sample_at(e, count_samples(e) - 1);
		writer_array(w, 4);
		writer_bulk(w, slice_of(latency_event_name(i)));
		writer_integer(w, last->time_s);
		writer_integer(w, last->latency);
		writer_integer(w, e->worst);
		count++;
	}
	writer_array_at(w, mark, count);
	return OUTCOME_DONE;
}

enum outcome cmd_latency_history(struct session *s, const struct request *r) {
	const struct latency_series *e = series_of(s, r->argv[2]);
	unsigned count = count_samples(e);
	writer_array(s->reply, count);
	for (unsigned i = 0; i < count; i++) {
		const struct latency_sample *sample = sample_at(e, i);
		writer_array(s->reply, 2);
		writer_integer(s->reply, sample->time_s);
		writer_integer(s->reply, sample->latency);
	}
	return OUTCOME_DONE;
}

static int64_t reset_series(struct latency_series *e) {
	if (e == NULL)
		return 0;
	memset(e, 0, sizeof(*e));
	return 1;
}

enum outcome cmd_latency_reset(struct session *s, const struct request *r) {
	int64_t count = 0;
	size_t work = 0;
	for (unsigned i = 0; r->argc == 2 && i < LATENCY_EVENTS; i++)
		count += reset_series(series_at(s, i));
	for (uint32_t i = 2; i < r->argc; i++) {
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		count += reset_series(series_of(s, r->argv[i]));
	}
	writer_integer(s->reply, count);
	return OUTCOME_DONE;
}

/* --- the graph -------------------------------------------------------------------------------------------------- */

/* Formats an age in the largest unit that fits. */
static void format_age(int64_t seconds, char out[LABEL_MAX]) {
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (seconds >= units[i].seconds) {
			snprintf(out, LABEL_MAX, "%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
			return;
		}
	}
	/* The clock may have been set back since then. */
	snprintf(out, LABEL_MAX, "%llds", (long long)(seconds > 0 ? seconds : 0));
}

/* Returns the character of a bar of `height` steps (0: the lowest) in the row that begins at step `base`. */
static char bar(int height, int base) {
	static const char tops[GRAPH_STEPS] = {'_', 'o', '#'};
	if (height < base)
		return ' ';
	return height - base < GRAPH_STEPS ? tops[height - base] : '|';
}

struct graph {
	const struct latency_series *series;
	unsigned first, count; /* columns of this block */
	int64_t low, high;
	int64_t now_s;
	struct buffer *out;
	int error;
};

static void put_line(struct graph *g, const char *text, size_t len) {
	if (g->error == 0)
		g->error = buffer_append(g->out, text, len, SIZE_MAX);
	if (g->error == 0)
		g->error = buffer_append(g->out, "\n", 1, SIZE_MAX);
}

static void draw_bars(struct graph *g) {
	char line[GRAPH_COLUMNS];
	int steps = GRAPH_STEPS * GRAPH_ROWS;
	double range = g->high == g->low ? 1 : (double)(g->high - g->low);
	for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
		for (unsigned i = 0; i < g->count; i++) {
			const struct latency_sample *sample = sample_at(g->series, g->first + i);
			int height = (int)((double)(sample->latency - g->low) * steps / range);
			line[i] = bar(height < steps ? height : steps - 1, row * GRAPH_STEPS);
		}
		put_line(g, line, g->count);
	}
}

/* Writes an empty line, then the labels, one character of each per line. */
static void draw_labels(struct graph *g) {
	char line[GRAPH_COLUMNS], label[LABEL_MAX];
	memset(line, ' ', sizeof(line));
	put_line(g, line, g->count);
	for (size_t at = 0;; at++) {
		bool any = false;
		memset(line, ' ', sizeof(line));
		for (unsigned i = 0; i < g->count; i++) {
			format_age(g->now_s - sample_at(g->series, g->first + i)->time_s, label);
			if (at < strlen(label)) {
				line[i] = label[at];
				any = true;
			}
		}
		if (!any)
			return;
		put_line(g, line, g->count);
	}
}

enum outcome cmd_latency_graph(struct session *s, const struct request *r) {
	struct graph g = {.series = series_of(s, r->argv[2]), .now_s = s->env->now_ms / 1000, .out = &s->env->scratch};
	if (g.series == NULL) {
		writer_errorf(s->reply, "ERR No samples available for event '%.*s'", ECHO_TEXT(r->argv[2], ECHO_LONG));
		return OUTCOME_DONE;
	}
	unsigned count = count_samples(g.series);
	for (unsigned i = 0; i < count; i++) {
		int64_t latency = sample_at(g.series, i)->latency;
		g.low = i == 0 || latency < g.low ? latency : g.low;
		g.high = i == 0 || latency > g.high ? latency : g.high;
	}
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%.*s - high %lld ms, low %lld ms (all time high %lld ms)",
			 ECHO_TEXT(r->argv[2], ECHO_MAX), (long long)g.high, (long long)g.low,
			 (long long)g.series->worst);
	put_line(&g, text, (size_t)n);
	memset(text, '-', GRAPH_COLUMNS);
	put_line(&g, text, GRAPH_COLUMNS);
	for (; g.first < count; g.first += GRAPH_COLUMNS) {
		if (g.first != 0)
			put_line(&g, "", 0);
		g.count = count - g.first < GRAPH_COLUMNS ? count - g.first : GRAPH_COLUMNS;
		draw_bars(&g);
		draw_labels(&g);
	}
	if (g.error < 0)
		return reply_store_error(s, g.error);
	writer_verbatim(s->reply, "txt", buffer_slice(g.out));
	return OUTCOME_DONE;
}

/* --- words ------------------------------------------------------------------------------------------------------ */

enum outcome cmd_latency_doctor(struct session *s, const struct request *r) {
	(void)r;
	struct buffer *out = &s->env->scratch;
	int error = 0;
	if (tenant_stats_settings_of(s->tenant).latency_ms == 0) {
		writer_verbatim(s->reply, "txt",
				SLICE("Nothing is watched: CONFIG SET latency-monitor-threshold <milliseconds> makes "
				      "commands that take so long known here.\n"));
		return OUTCOME_DONE;
	}
	for (unsigned i = 0; i < LATENCY_EVENTS && error == 0; i++) {
		const struct latency_series *e = series_at(s, i);
		char text[TEXT_MAX];
		if (e == NULL)
			continue;
		unsigned count = count_samples(e);
		int64_t sum = 0;
		for (unsigned k = 0; k < count; k++)
			sum += sample_at(e, k)->latency;
		int n = snprintf(
			text, sizeof(text),
			"%s: seen in %u seconds, %lld ms on average, %lld ms at worst. SLOWLOG GET shows which.\n",
			latency_event_name(i), count, (long long)(sum / count), (long long)e->worst);
		error = buffer_append(out, text, (size_t)n, SIZE_MAX);
	}
	if (error < 0)
		return reply_store_error(s, error);
	writer_verbatim(s->reply, "txt", out->len == 0 ? SLICE("No command took that long.\n") : buffer_slice(out));
	return OUTCOME_DONE;
}

/* --- histograms ------------------------------------------------------------------------------------------------- */

static const struct histogram *histogram_of(const struct session *s, const struct command *c) {
	const struct histogram *h = tenant_stats_histogram(s->tenant, c);
	return h == NULL || h->calls == 0 ? NULL : h;
}

/* Writes each bucket that is not empty: its upper bound in microseconds, and the number of durations up to it. */
static size_t reply_buckets(struct writer *w, const struct histogram *h, bool write) {
	uint64_t below = 0;
	size_t count = 0;
	for (unsigned k = 0; k < LATENCY_BUCKETS; k++) {
		if (h->buckets[k] == 0)
			continue;
		below += h->buckets[k];
		count++;
		if (write) {
			writer_integer(w, (int64_t)(tenant_stats_bucket_end(k) / 1000));
			writer_integer(w, (int64_t)below);
		}
	}
	return count;
}

/* Replies with the histograms of the command and its subcommands. Returns their number. */
static size_t reply_histograms(struct session *s, const struct command *c, bool write) {
	struct writer *w = s->reply;
	const struct histogram *h = histogram_of(s, c);
	size_t subs = 0, count = h != NULL;
	if (h != NULL && write) {
		writer_bulk(w, slice_of(c->name));
		writer_map(w, 2);
		writer_bulk(w, SLICE("calls"));
		writer_integer(w, (int64_t)h->calls);
		writer_bulk(w, SLICE("histogram_usec"));
		writer_map(w, reply_buckets(w, h, false));
		reply_buckets(w, h, true);
	}
	const struct command *sub = command_subcommands(&command_set, c, &subs);
	for (size_t i = 0; i < subs; i++)
		count += reply_histograms(s, &sub[i], write);
	return count;
}

/* Commands between two check points. */
#define CHECK_HISTOGRAMS 16

static size_t reply_wanted(struct session *s, const struct request *r, bool write) {
	size_t count = 0, work = 0;
	for (size_t i = 0; r->argc == 2 && i < COMMAND_COUNT; i++)
		count += reply_histograms(s, &command_set.rows[i], write);
	for (uint32_t i = 2; i < r->argc && !writer_drops(s->reply); i++) {
		const struct command *c = command_find_full(&command_set, r->argv[i]);
		(void)fiber_check_every(&work, 1, CHECK_HISTOGRAMS);
		if (c != NULL)
			count += reply_histograms(s, c, write);
	}
	return count;
}

enum outcome cmd_latency_histogram(struct session *s, const struct request *r) {
	if (!writer_drops(s->reply)) {
		writer_map(s->reply, reply_wanted(s, r, false));
		reply_wanted(s, r, true);
	}
	return OUTCOME_DONE;
}

enum outcome cmd_latency_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"DOCTOR",
		"    Returns a report about latency events.",
		"GRAPH <event>",
		"    Returns a graph of the latency of an event.",
		"HISTOGRAM [<command> ...]",
		"    Returns the latency distribution of the named commands, or of all, if latency-tracking is on.",
		"HISTORY <event>",
		"    Returns the latency samples of an event: Unix time, and maximum latency within that second.",
		"LATEST",
		"    Returns the latest latency sample of each event.",
		"RESET [<event> ...]",
		"    Removes the latency samples of the named events, or of all.",
	};
	return reply_help_lines(s, "latency", lines);
}
