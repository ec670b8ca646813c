#include "observe/sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "atomdb/store/registry_walk.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/tenant.h"

const struct histogram_bounds duration_bounds = {.count = HISTOGRAM_BOUNDS, .first = DURATION_UNIT_NS, .shift = 2};
const struct histogram_bounds lag_bounds = {.count = LAG_BUCKETS - 1, .first = 1, .shift = 2};
const struct histogram_bounds age_bounds = {.count = AGE_BUCKETS - 1, .first = AGE_TICK_MS, .shift = 1};
_Static_assert(LAG_BUCKETS <= HISTOGRAM_BOUNDS + 1 && AGE_BUCKETS <= HISTOGRAM_BOUNDS + 1, "each bucket has room");

static void label_info(struct sample *s, const struct metrics_sources *sources) {
	struct utsname system;
	char os[3 * sizeof(system.sysname)];
	labels_add(&s->instance.labels, "role", "master");
	labels_add(&s->instance.labels, "redis_mode", "standalone");
	labels_add(&s->instance.labels, "redis_version", sources->redis_version);
	labels_add_u64(&s->instance.labels, "process_id", (uint64_t)getpid());
	if (uname(&system) == 0) {
		snprintf(os, sizeof(os), "%s %s %s", system.sysname, system.release, system.machine);
		labels_add(&s->instance.labels, "os", os);
	}
	labels_add(&s->build.labels, "version", sources->version);
	labels_add(&s->build.labels, "compiler",
#if defined(__clang__)
		   "clang " __clang_version__
#else
		   "gcc " __VERSION__
#endif
	);
	s->instance.one = s->build.one = 1;
}

static const char *const reject_reasons[METRICS_REJECTS] = {
	[METRICS_REJECT_MAX_CLIENTS] = "max_clients", [METRICS_REJECT_OPEN_FILES] = "open_files",
	[METRICS_REJECT_MEMORY] = "memory",           [METRICS_REJECT_TENANT_MAX_CLIENTS] = "tenant_max_clients",
	[METRICS_REJECT_MAX_TENANTS] = "max_tenants",
};

static void label_shards(struct sample *s) {
	static const char *const uses[ARENA_USES] = {
		[USE_ENTRIES] = "entries",
		[USE_TABLES] = "tables",
		[USE_FREE] = "free",
	};
	for (unsigned i = 0; i < s->shard_count; i++) {
		labels_add_u64(&s->shards[i].labels, "shard", i);
		for (unsigned j = 0; j < ARENA_USES; j++) {
			struct labels *l = &s->uses[i * ARENA_USES + j].labels;
			labels_add_u64(l, "shard", i);
			labels_add(l, "use", uses[j]);
		}
	}
}

int sample_init(struct sample *s, const struct metrics_sources *sources) {
	memset(s, 0, sizeof(*s));
	tenant_set_init(&s->tenants);
	s->worker_count = sources->worker_count;
	s->shard_count = sources->shard_count;
	s->state_count = sources->state_count;
	s->workers = calloc((size_t)s->worker_count + 1, sizeof(*s->workers));
	s->shards = calloc((size_t)s->shard_count + 1, sizeof(*s->shards));
	s->uses = calloc((size_t)s->shard_count * ARENA_USES + 1, sizeof(*s->uses));
	s->busy = calloc((size_t)s->worker_count + 1, sizeof(*s->busy));
	if (s->workers == NULL || s->shards == NULL || s->uses == NULL || s->busy == NULL) {
		sample_deinit(s);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < s->worker_count; i++)
		labels_add_u64(&s->workers[i].labels, "worker", i);
	label_shards(s);
	for (unsigned i = 0; i < s->state_count; i++)
		labels_add(&s->states[i].labels, "state", sources->state_names[i]);
	for (unsigned i = 0; i < METRICS_REJECTS; i++)
		labels_add(&s->rejects[i].labels, "reason", reject_reasons[i]);
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		char name[16];
		snprintf(name, sizeof(name), "db%u", i);
		labels_add(&s->databases[i].labels, "db", name);
	}
	label_info(s, sources);
	s->global.process_start_ms = process_start_ms();
	s->global.process_id = (uint64_t)getpid();
	s->global.system_memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

void sample_deinit(struct sample *s) {
	tenant_set_deinit(&s->tenants);
	free(s->workers);
	free(s->shards);
	free(s->uses);
	free(s->busy);
	s->workers = NULL;
	s->shards = NULL;
	s->uses = NULL;
	s->busy = NULL;
}

/* Adds the ticks since the last call to a sum of durations. Returns its nanoseconds. */
static uint64_t spend(struct spent *spent, const struct metrics_sources *sources, uint64_t ticks) {
	if (ticks > spent->ticks) {
		double seconds = clock_ticks_to_seconds(&sources->clock_start, ticks - spent->ticks);
		if (seconds > 0)
			spent->nanoseconds += (uint64_t)(seconds * 1e9);
		spent->ticks = ticks;
	}
	return spent->nanoseconds;
}

/* Adds the runs of a command, in buckets of powers of two, to buckets of powers of four. */
static void add_durations(struct histogram_sample *h, const struct command_counters *f) {
	for (unsigned i = 0; i < DURATION_BUCKETS; i++) {
		unsigned k = (i + 1) / 2;
		h->counts[k < HISTOGRAM_BOUNDS ? k : HISTOGRAM_BOUNDS] += counter_get(&f->runs[i]);
	}
}

static void collect_commands(struct sample *s, const struct metrics_sources *sources) {
	s->command_count = 0;
	s->global.calls = 0;
	for (unsigned id = 0; id < COMMAND_COUNT; id++) {
		struct command_sample *row = &s->commands[s->command_count];
		uint64_t ticks = 0;
		memset(row, 0, sizeof(*row));
		for (unsigned i = 0; i < sources->worker_count; i++) {
			const struct command_counters *f = &sources->workers[i].commands[id];
			add_durations(&row->durations, f);
			row->rejected += counter_get(&f->rejected);
			row->failed += counter_get(&f->failed);
			ticks += counter_get(&f->ticks);
		}
		for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
			row->calls += row->durations.counts[i];
		row->nanoseconds = row->durations.sum = spend(&s->spent[id], sources, ticks);
		s->global.calls += row->calls;
		/* Skips commands that were never called: their rows would be most of the page. */
		if (row->calls == 0 && row->rejected == 0)
			continue;
		labels_add(&row->labels, "cmd", command_name((enum command_id)id));
		s->command_count++;
	}
}

static void collect_workers(struct sample *s, const struct metrics_sources *sources) {
	struct global_sample *g = &s->global;
	g->clients = g->connections = g->auth_failures = g->unknown_commands = 0;
	g->input_bytes = g->output_bytes = g->waiting = 0;
	for (unsigned i = 0; i < s->state_count; i++)
		s->states[i].clients = 0;
	for (unsigned i = 0; i < METRICS_REJECTS; i++)
		s->rejects[i].connections = 0;
	for (unsigned i = 0; i < sources->worker_count; i++) {
		const struct metrics_worker *w = &sources->workers[i];
		struct worker_sample *row = &s->workers[i];
		row->clients = counter_get(w->clients);
		row->connections = counter_get(w->connections);
		row->moved = counter_get(w->moved);
		row->messages = counter_get(w->messages);
		row->input_bytes = counter_get(w->input_bytes);
		row->output_bytes = counter_get(w->output_bytes);
		row->protocol_errors = counter_get(w->protocol_errors);
		row->output_limit = counter_get(w->output_limit);
		row->idle_closed = counter_get(w->idle_closed);
		row->turns = counter_get(w->turns);
		row->busy_ns = spend(&s->busy[i], sources, counter_get(w->busy_ticks));
		row->longest_turn_ns = counter_get(w->longest_turn_ns);
		row->stalls = counter_get(w->stalls);
		g->clients += row->clients;
		g->connections += row->connections;
		g->input_bytes += row->input_bytes;
		g->output_bytes += row->output_bytes;
		g->auth_failures += counter_get(w->auth_failures);
		g->unknown_commands += counter_get(w->unknown_commands);
		g->waiting += counter_get(w->waiting);
		for (unsigned j = 0; j < s->state_count; j++)
			s->states[j].clients += counter_get(&w->states[j]);
		for (unsigned j = 0; j < METRICS_REJECTS; j++)
			s->rejects[j].connections += counter_get(w->rejected[j]);
	}
	g->rejected_max_clients = s->rejects[METRICS_REJECT_MAX_CLIENTS].connections;
}

static void collect_uses(struct use_sample *uses, const struct shard_sample *row, const struct shard_counters *f) {
	uint64_t entries = counter_get(&f->used_by_entries);
	uses[USE_ENTRIES].bytes = entries;
	/* The worker writes the counters one after another, so that their sums may differ. */
	uses[USE_TABLES].bytes = row->used > entries ? row->used - entries : 0;
	uses[USE_FREE].bytes = row->resident > row->used ? row->resident - row->used : 0;
}

static void collect_ages(struct global_sample *g, const struct shard_counters *f) {
	for (unsigned i = 0; i < LAG_BUCKETS; i++)
		g->expiry_lags.counts[i] += counter_get(&f->lags[i]);
	g->expiry_lags.sum += counter_get(&f->lag_ms_total);
	for (unsigned i = 0; i < AGE_BUCKETS; i++)
		g->eviction_ages.counts[i] += counter_get(&f->eviction_ages[i]);
	g->eviction_ages.sum += counter_get(&f->eviction_age_ticks) * AGE_TICK_MS;
}

/* Returns resident bytes per million used bytes; a million if none is used. */
static uint64_t fragmentation(uint64_t resident, uint64_t used) {
	return used == 0 ? 1000000 : (uint64_t)((double)resident * 1e6 / (double)used);
}

static void collect_shards(struct sample *s, const struct metrics_sources *sources) {
	uint64_t resident = 0;
	s->global.memory_used = s->global.memory_entries = s->global.memory_overhead = 0;
	memset(&s->global.expiry_lags, 0, sizeof(s->global.expiry_lags));
	memset(&s->global.eviction_ages, 0, sizeof(s->global.eviction_ages));
	s->global.compacting = 0;
	for (unsigned i = 0; i < sources->shard_count; i++) {
		const struct shard_counters *f = sources->shards[i];
		struct shard_sample *row = &s->shards[i];
		row->resident = counter_get(&f->resident);
		row->hugepages = counter_get(&f->hugepages);
		row->used = counter_get(&f->used);
		row->fragmentation = fragmentation(row->resident, row->used);
		row->compacting = counter_get(&f->compacting);
		row->moved = counter_get(&f->moved);
		row->moved_bytes = counter_get(&f->moved_bytes);
		row->tenants = counter_get(&f->tenants);
		row->keys = counter_get(&f->keys);
		row->resizes = counter_get(&f->resizes);
		row->swept = counter_get(&f->swept);
		row->shed = counter_get(&f->shed);
		collect_uses(&s->uses[i * ARENA_USES], row, f);
		collect_ages(&s->global, f);
		s->global.memory_used += row->used;
		s->global.compacting |= row->compacting;
		resident += row->resident;
		s->global.memory_entries += s->uses[i * ARENA_USES + USE_ENTRIES].bytes;
		s->global.memory_overhead += s->uses[i * ARENA_USES + USE_TABLES].bytes;
	}
	s->global.fragmentation = fragmentation(resident, s->global.memory_used);
}

struct tenant_walk {
	struct sample *sample;
	const struct metrics_sources *sources;
	bool retired_added;
};

static void add_retired(struct tenant_walk *walk) {
	if (walk->retired_added)
		return;
	for (unsigned i = 0; i < walk->sources->shard_count; i++)
		tenant_set_add_retired(&walk->sample->tenants, &walk->sources->shards[i]->retired);
	walk->retired_added = true;
}

static void visit_tenant(void *context, const struct tenant *t) {
	struct tenant_walk *walk = context;
	/* No tenant can end during the walk. */
	add_retired(walk);
	tenant_set_add(&walk->sample->tenants, t);
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		walk->sample->databases[i].keys += counter_get(&t->counters.db_keys[i]);
		walk->sample->databases[i].expiring += counter_get(&t->counters.db_expiring[i]);
	}
}

static int collect_tenants(struct sample *s, const struct metrics_sources *sources) {
	struct tenant_walk walk = {.sample = s, .sources = sources};
	for (unsigned i = 0; i < TENANT_DATABASES; i++)
		s->databases[i].keys = s->databases[i].expiring = 0;
	int r = tenant_set_begin(&s->tenants, sources->tenants_shown);
	if (r != 0)
		return r;
	registry_each(sources->registry, visit_tenant, &walk);
	/* Without rows of tenants, all counts go to the ended ones. */
	add_retired(&walk);
	tenant_set_finish(&s->tenants);
	s->global.tenants = s->tenants.tenants;
	s->global.orphans = s->tenants.orphans;
	s->global.orphaned_keys = s->tenants.orphaned_keys;
	s->global.orphaned_bytes = s->tenants.orphaned_bytes;
	s->global.hits = s->tenants.total[COUNT_HITS];
	s->global.misses = s->tenants.total[COUNT_MISSES];
	s->global.evictions = s->tenants.total[COUNT_EVICTIONS];
	s->global.expirations = s->tenants.total[COUNT_EXPIRATIONS];
	return 0;
}

static void collect_recovery(struct global_sample *g, const struct recovery_counters *r) {
	g->recovered_keys = r->entries;
	g->recovered_bytes = r->bytes;
	g->recovered_clients = r->clients;
	g->recovery_ns = r->duration_ns;
	g->restarts = r->restarts;
	g->crashes = r->crashes;
	g->dropped_blocks = r->dropped_total;
}

_Static_assert(PROCESS_UNKNOWN == SAMPLE_ABSENT, "figures that the kernel does not tell are left out");

static void collect_process(struct global_sample *g) {
	struct process_counters p;
	process_read(&p);
	g->cpu_user_us = p.cpu_user_us;
	g->cpu_system_us = p.cpu_system_us;
	g->cpu_us = p.cpu_user_us == PROCESS_UNKNOWN ? SAMPLE_ABSENT : p.cpu_user_us + p.cpu_system_us;
	g->resident_bytes = p.resident_bytes;
	g->virtual_bytes = p.virtual_bytes;
	g->open_fds = p.open_fds;
	g->max_fds = p.max_fds;
}

int sample_collect(struct sample *s, const struct metrics_sources *sources) {
	struct global_sample *g = &s->global;
	g->up = 1;
	g->uptime_ms = (clock_monotonic_ns() - sources->clock_start.ns) / 1000000;
	g->start_ms = (uint64_t)sources->start_ms;
	g->max_clients = sources->max_clients;
	g->memory_max = sources->max_memory;
	g->live_changes = sources->live_changes;
	g->log_suppressed = sources->log_suppressed != NULL ? counter_get(sources->log_suppressed) : SAMPLE_ABSENT;
	g->http_failures = counter_get(sources->http_failures);
	collect_commands(s, sources);
	collect_workers(s, sources);
	collect_shards(s, sources);
	collect_recovery(g, sources->recovery);
	collect_process(g);
	return collect_tenants(s, sources);
}
