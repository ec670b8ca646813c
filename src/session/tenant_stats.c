#include "atomdb/session/tenant_stats.h"

#include <stdio.h>

#include "atomdb/session/command_stats.h"
#include "atomdb/session/hotkeys.h"
#include "atomdb/session/stats_memory.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/number.h"

/* Limits of an entry of the slow log, as in Redis. */
#define SLOW_ARGUMENTS 32
#define SLOW_BYTES     128
#define SLOW_NOTE      48 /* bytes of "... (N more bytes)" */
/* The measured length of a tick becomes more precise over time, so that the threshold includes a margin. */
#define THRESHOLD_MARGIN 0.99

static const struct tenant_stats_settings defaults = {
	.slow_us = 10000, .slow_max = 128, .latency_ms = 0, .tracking = false};

struct tenant_stats_settings tenant_stats_settings_of(const struct tenant *t) {
	return t->clients.tenant_stats == NULL ? defaults : t->clients.tenant_stats->settings;
}

/* --- allocation ------------------------------------------------------------------------------------------------- */

static void slow_entry_free(struct tenant *t, struct slow_entry *e) {
	stats_memory_free(t, e, e->size);
}

static void drop_oldest(struct tenant *t, struct tenant_stats *n) {
	struct slow_entry *e = list_entry(n->slow.next, struct slow_entry, link);
	list_remove(&e->link);
	n->slow_count--;
	slow_entry_free(t, e);
}

void tenant_stats_reset_slowlog(struct tenant *t) {
	struct tenant_stats *n = t->clients.tenant_stats;
	while (n != NULL && !list_empty(&n->slow))
		drop_oldest(t, n);
}

static size_t histograms_size(void) {
	return command_numbers() * sizeof(struct histogram);
}

#define EVENTS_SIZE (LATENCY_EVENTS * sizeof(struct latency_series))

static void free_histograms(struct tenant *t, struct tenant_stats *n) {
	stats_memory_free(t, n->histograms, histograms_size());
	n->histograms = NULL;
}

static void free_errors(struct tenant *t, struct tenant_stats *n) {
	stats_memory_free(t, n->errors, n->error_room * sizeof(*n->errors));
}

void tenant_stats_free(struct tenant *t) {
	struct tenant_stats *n = t->clients.tenant_stats;
	command_stats_free(t);
	hotkeys_free(t);
	t->clients.free_stats = NULL;
	if (n == NULL)
		return;
	tenant_stats_reset_slowlog(t);
	free_histograms(t, n);
	stats_memory_free(t, n->events, EVENTS_SIZE);
	free_errors(t, n);
	stats_memory_free(t, n, sizeof(*n));
	t->clients.tenant_stats = NULL;
}

struct tenant_stats *tenant_stats_open(struct tenant *t, bool ask) {
	if (t->clients.tenant_stats == NULL) {
		struct tenant_stats *n = stats_memory_alloc(t, sizeof(*n), ask);
		if (n == NULL)
			return NULL;
		n->settings = defaults;
		list_init(&n->slow);
		t->clients.tenant_stats = n;
		t->clients.free_stats = tenant_stats_free;
	}
	return t->clients.tenant_stats;
}

void tenant_stats_attach(struct session *s) {
	s->tenant->clients.free_stats = tenant_stats_free;
}

static struct tenant_stats *make_stats(struct tenant *t) {
	return tenant_stats_open(t, true);
}

/* --- settings --------------------------------------------------------------------------------------------------- */

static void set_threshold(const struct environment *env, struct tenant *t) {
	struct tenant_stats_settings set = tenant_stats_settings_of(t);
	double least = -1, per_tick = clock_ticks_to_seconds(&env->clock_start, 1000000000) / 1e9;
	if (set.slow_us >= 0)
		least = (double)set.slow_us * 1e-6;
	if (set.latency_ms > 0 && (least < 0 || (double)set.latency_ms * 1e-3 < least))
		least = (double)set.latency_ms * 1e-3;
	if (set.tracking)
		least = 0;
	double ticks = per_tick > 0 ? least / per_tick * THRESHOLD_MARGIN : 0;
	t->clients.slow_ticks = least < 0 || ticks >= 1e18 ? UINT64_MAX : (uint64_t)ticks;
}

int tenant_stats_configure(struct tenant *t, const struct environment *env,
			   const struct tenant_stats_settings *settings) {
	struct tenant_stats *n = make_stats(t);
	if (n == NULL)
		return ATOMDB_E_OOM;
	if (settings->tracking && n->histograms == NULL) {
		n->histograms = stats_memory_alloc(t, histograms_size(), true);
		if (n->histograms == NULL)
			return ATOMDB_E_OOM;
	}
	if (!settings->tracking)
		free_histograms(t, n);
	n->settings = *settings;
	set_threshold(env, t);
	return 0;
}

/* --- the slow log ----------------------------------------------------------------------------------------------- */

/* An argument of an entry: `head`, then `note`. */
struct kept {
	struct slice head;
	char note[SLOW_NOTE];
	size_t note_len;
};

static struct kept keep_argument(const struct request *r, uint32_t i, uint32_t count) {
	struct kept k = {.head = r->argv[i]};
	int n = 0;
	if (count != r->argc && i == count - 1) {
		k.head.len = 0;
		n = snprintf(k.note, sizeof(k.note), "... (%u more arguments)", r->argc - count + 1);
	} else if (request_is_secret(r, i)) {
		k.head = SLICE("(redacted)");
	} else if (k.head.len > SLOW_BYTES) {
		n = snprintf(k.note, sizeof(k.note), "... (%zu more bytes)", k.head.len - SLOW_BYTES);
		k.head.len = SLOW_BYTES;
	}
	k.note_len = (size_t)n;
	return k;
}

static char *put(char *to, const void *bytes, size_t n) {
	if (n != 0)
		memcpy(to, bytes, n);
	return to + n;
}

/* Returns an entry of `count` arguments that is charged to the tenant, or NULL. */
static struct slow_entry *slow_entry_new(struct tenant *t, const struct kept *kept, uint32_t count, const char *address,
					 const char *name) {
	size_t size = sizeof(struct slow_entry) + strlen(address) + strlen(name) + 2;
	for (uint32_t i = 0; i < count; i++)
		size += sizeof(uint32_t) + kept[i].head.len + kept[i].note_len;
	struct slow_entry *e = stats_memory_alloc(t, size, true);
	if (e == NULL)
		return NULL;
	e->size = size;
	e->argc = count;
	char *to = e->text;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t len = (uint32_t)(kept[i].head.len + kept[i].note_len);
		to = put(to, &len, sizeof(len));
		to = put(to, kept[i].head.data, kept[i].head.len);
		to = put(to, kept[i].note, kept[i].note_len);
	}
	to = put(to, address, strlen(address) + 1);
	put(to, name, strlen(name) + 1);
	return e;
}

static void log_slow(struct session *s, const struct request *r, int64_t micros) {
	struct tenant *t = s->tenant;
	struct tenant_stats *n = make_stats(t);
	if (n == NULL)
		return;
	struct kept kept[SLOW_ARGUMENTS];
	struct client_facts facts = {.address = ""};
	uint32_t count = r->argc < SLOW_ARGUMENTS ? r->argc : SLOW_ARGUMENTS;
	for (uint32_t i = 0; i < count; i++)
		kept[i] = keep_argument(r, i, count);
	if (s->env->host != NULL)
		s->env->host->describe(s, &facts);
	struct slow_entry *e = slow_entry_new(t, kept, count, facts.address, s->name == NULL ? "" : s->name);
	if (e == NULL)
		return;
	e->id = n->slow_next++;
	e->time_s = s->env->now_ms / 1000;
	e->micros = micros;
	list_push_back(&n->slow, &e->link);
	n->slow_count++;
	while (n->slow_count > n->settings.slow_max)
		drop_oldest(t, n);
}

/* --- latency ---------------------------------------------------------------------------------------------------- */

const char *latency_event_name(unsigned i) {
	static const char *const names[LATENCY_EVENTS] = {"command", "fast-command"};
	return names[i];
}

static void note_event(struct latency_series *e, int64_t now_s, int64_t latency) {
	struct latency_sample *last = &e->samples[(e->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
	if (latency > e->worst)
		e->worst = latency;
	if (last->time_s == now_s) {
		if (latency > last->latency)
			last->latency = latency;
		return;
	}
	e->samples[e->next] = (struct latency_sample){now_s, latency};
	e->next = (e->next + 1) % LATENCY_SAMPLES;
}

uint64_t tenant_stats_bucket_end(unsigned k) {
	return (UINT64_C(1) << (10 + k)) + (UINT64_C(1) << (3 + k)) - 1;
}

static void note_duration(struct histogram *h, double seconds) {
	uint64_t nanos = seconds >= 1 ? 1000000000 : (uint64_t)(seconds * 1e9);
	unsigned k = 0;
	while (k < LATENCY_BUCKETS - 1 && nanos > tenant_stats_bucket_end(k))
		k++;
	h->calls++;
	h->nanoseconds += nanos;
	h->buckets[k]++;
}

void tenant_stats_count_rejected(struct session *s, const struct command *c) {
	struct command_stat *row = s->tenant == NULL || c == NULL ? NULL : command_stat(s->tenant, c);
	tenant_stats_count_error(s);
	if (row != NULL)
		row->rejected++;
}

const struct histogram *tenant_stats_histogram(const struct tenant *t, const struct command *c) {
	const struct tenant_stats *n = t->clients.tenant_stats;
	return n == NULL || n->histograms == NULL ? NULL : &n->histograms[c->number];
}

void tenant_stats_count_command(struct session *s, const struct request *r, uint64_t ticks) {
	struct tenant *t = s->tenant;
	struct tenant_stats_settings set = tenant_stats_settings_of(t);
	double seconds = clock_ticks_to_seconds(&s->env->clock_start, ticks);
	int64_t micros = (int64_t)(seconds * 1e6);
	if (set.slow_us >= 0 && micros >= set.slow_us && !(r->command->flags & CMD_SKIP_SLOWLOG))
		log_slow(s, r, micros);
	if (set.latency_ms > 0 && micros / 1000 >= set.latency_ms) {
		struct tenant_stats *n = make_stats(t);
		unsigned event = (r->command->flags & CMD_FAST) != 0;
		if (n != NULL && n->events == NULL)
			n->events = stats_memory_alloc(t, EVENTS_SIZE, true);
		if (n != NULL && n->events != NULL)
			note_event(&n->events[event], s->env->now_ms / 1000, micros / 1000);
	}
	if (t->clients.tenant_stats != NULL && t->clients.tenant_stats->histograms != NULL)
		note_duration(&t->clients.tenant_stats->histograms[r->command->number], seconds);
	set_threshold(s->env, t);
}

/* --- errors ------------------------------------------------------------------------------------------------------ */

/* Makes room for one more code. Returns false if there is none. */
static bool room_for_code(struct tenant *t, struct tenant_stats *n) {
	unsigned room = n->error_room == 0 ? 4 : 2 * n->error_room;
	if (n->error_count < n->error_room)
		return true;
	if (n->error_count == ERROR_CODES)
		return false;
	struct error_count *more = stats_memory_alloc(t, room * sizeof(*more), true);
	if (more == NULL)
		return false;
	if (n->error_count != 0)
		memcpy(more, n->errors, n->error_count * sizeof(*more));
	free_errors(t, n);
	n->errors = more;
	n->error_room = room;
	return true;
}

bool tenant_stats_count_error(struct session *s) {
	struct tenant *t = s->tenant;
	s->reply->errors = 0;
	if (t == NULL)
		return true;
	counter_add(&t->counters.errors, 1);
	struct tenant_stats *n = make_stats(t);
	if (n == NULL)
		return true;
	unsigned i = 0;
	while (i < n->error_count && strcmp(n->errors[i].code, s->reply->code) < 0)
		i++;
	if (i == n->error_count || strcmp(n->errors[i].code, s->reply->code) != 0) {
		if (!room_for_code(t, n))
			return true;
		memmove(&n->errors[i + 1], &n->errors[i], (n->error_count - i) * sizeof(*n->errors));
		n->errors[i].count = 0;
		memcpy(n->errors[i].code, s->reply->code, sizeof(n->errors[i].code));
		n->error_count++;
	}
	n->errors[i].count++;
	return true;
}

bool tenant_stats_count_failed(struct session *s, const struct command *c) {
	struct command_stat *row = s->tenant == NULL ? NULL : command_stat(s->tenant, c);
	if (row != NULL)
		row->failed++;
	return tenant_stats_count_error(s);
}

const struct error_count *tenant_stats_errors(const struct tenant *t, unsigned *count) {
	*count = t->clients.tenant_stats == NULL ? 0 : t->clients.tenant_stats->error_count;
	return t->clients.tenant_stats == NULL ? NULL : t->clients.tenant_stats->errors;
}

/* --- counters ---------------------------------------------------------------------------------------------------- */

int tenant_stats_reset(struct tenant *t) {
	struct tenant_stats *n = make_stats(t);
	if (n == NULL)
		return ATOMDB_E_OOM;
	counter *to = (counter *)&n->start;
	const counter *from = (const counter *)&t->counters;
	for (size_t i = 0; i < sizeof(n->start) / sizeof(counter); i++)
		counter_set(&to[i], counter_get(&from[i]));
	if (n->histograms != NULL)
		memset(n->histograms, 0, histograms_size());
	n->error_count = 0;
	command_stats_reset(t);
	hotkeys_reset(t);
	return 0;
}

uint64_t tenant_stats_counter(const struct tenant *t, const counter *number) {
	uint64_t before = 0;
	if (t->clients.tenant_stats != NULL)
		before = counter_get((const counter *)&t->clients.tenant_stats->start +
				     (number - (const counter *)&t->counters));
	return counter_get(number) - before;
}

struct rates tenant_stats_rates(struct tenant *t, const struct environment *env) {
	struct tenant_stats *n = make_stats(t);
	if (n == NULL)
		return (struct rates){0};
	struct rate_mark now = {env->steady_ms, counter_get(&t->counters.commands),
				counter_get(&t->counters.input_bytes), counter_get(&t->counters.output_bytes)};
	if (n->marks[1].time_ms == 0)
		n->marks[0].time_ms = n->marks[1].time_ms = (int64_t)(env->clock_start.ns / 1000000);
	if (now.time_ms - n->marks[1].time_ms >= RATE_MS) {
		n->marks[0] = n->marks[1];
		n->marks[1] = now;
	}
	const struct rate_mark *then = &n->marks[0];
	double seconds = (double)(now.time_ms - then->time_ms) / 1000;
	if (seconds <= 0)
		return (struct rates){0};
	return (struct rates){(double)(now.commands - then->commands) / seconds,
			      (double)(now.input_bytes - then->input_bytes) / seconds,
			      (double)(now.output_bytes - then->output_bytes) / seconds};
}
