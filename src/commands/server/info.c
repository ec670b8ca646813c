/* INFO: the sections that clients and exporters read, limited to the caller's tenant. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "atomdb/commands/table.h"
#include "atomdb/events/subscriptions.h"
#include "atomdb/session/command_stats.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "atomdb/util/size.h"
#include "commands/handlers.h"
#include "commands/server/config.h"
#include "commands/server/memory.h"

/* Keys in the sample for the average time to live, and most steps of the scan for them. */
#define TTL_SAMPLES 20
#define TTL_STEPS   100

/* The text under construction, in scratch; `error` is sticky. */
struct page {
	struct session *session;
	struct buffer *out;
	int error;
};

static void line(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct page *p, const char *format, ...) {
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text) - 2, format, args);
	va_end(args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) - 2 ? (size_t)n : sizeof(text) - 3;
	text[len++] = '\r';
	text[len++] = '\n';
	if (p->error == 0)
		p->error = buffer_append(p->out, text, len, SIZE_MAX);
}

static void info_number(struct page *p, const char *name, uint64_t value) {
	line(p, "%s:%llu", name, (unsigned long long)value);
}

/* Constant lines, each with CRLF at its end. */
static void constant(struct page *p, const char *lines) {
	if (p->error == 0)
		p->error = buffer_append(p->out, lines, strlen(lines), SIZE_MAX);
}

/* Writes a number of bytes in digits and in human-readable form. */
static void info_bytes(struct page *p, const char *name, uint64_t bytes) {
	char text[32];
	size_format(bytes, text, sizeof(text));
	info_number(p, name, bytes);
	line(p, "%s_human:%s", name, text);
}

static void server_section(struct page *p) {
	const struct environment *env = p->session->env;
	struct utsname os;
	uint64_t uptime = (env->now_ns - env->clock_start.ns) / 1000000000;
	line(p, "redis_version:7.0.15");
	line(p, "atomdb_version:%s", ATOMDB_VERSION);
	line(p, "redis_git_sha1:00000000");
	line(p, "redis_git_dirty:0");
	line(p, "redis_mode:standalone");
	if (uname(&os) == 0)
		line(p, "os:%s %s %s", os.sysname, os.release, os.machine);
	line(p, "arch_bits:%zu", sizeof(void *) * 8);
	line(p, "monotonic_clock:POSIX clock_gettime");
	line(p, "multiplexing_api:epoll");
	line(p, "atomicvar_api:c11-builtin");
	line(p, "gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
	line(p, "process_id:%ld", (long)getpid());
	line(p, "run_id:%s", env->run_id == NULL ? "" : env->run_id);
	line(p, "tcp_port:%u", env->settings.port);
	line(p, "server_time_usec:%lld", (long long)clock_realtime_us());
	info_number(p, "uptime_in_seconds", uptime);
	info_number(p, "uptime_in_days", uptime / 86400);
	line(p, "hz:10");
	line(p, "configured_hz:10");
	line(p, "lru_clock:%lld", (long long)(env->now_ms / 1000 & 0xffffff));
	line(p, "config_file:%s", env->config_file == NULL ? "" : env->config_file);
	info_number(p, "io_threads_active", 0);
	line(p, "tenant:%s", tenant_name(p->session->tenant));
}

/* Returns the number of clients whose commands wait for the end of CLIENT PAUSE. */
static uint64_t count_paused(const struct tenant *t) {
	uint64_t count = 0;
	if (t->clients.pause_end_ms == 0)
		return 0;
	for (const struct list *link = t->clients.sessions.next; link != &t->clients.sessions; link = link->next)
		count += (list_entry(link, const struct session, tenant_link)->flags & SESSION_PAUSED) != 0;
	return count;
}

static void clients_section(struct page *p) {
	const struct tenant *t = p->session->tenant;
	uint32_t max = t->limits.max_clients != 0 ? t->limits.max_clients : p->session->env->settings.max_clients;
	info_number(p, "connected_clients", counter_get(&t->counters.clients));
	info_number(p, "cluster_connections", 0);
	info_number(p, "maxclients", max);
	info_number(p, "blocked_clients", count_paused(t));
	info_number(p, "tracking_clients", t->clients.subscriptions == NULL ? 0 : t->clients.subscriptions->trackers);
	info_number(p, "clients_in_timeout_table", 0);
}

static void memory_section(struct page *p) {
	const struct tenant *t = p->session->tenant;
	struct memory_usage u = memory_take_apart(t);
	struct arenas arenas = memory_arenas(p->session);
	info_bytes(p, "used_memory", u.total);
	/* A block is charged its whole size, and is resident. Only the operator sees the memory between blocks. */
	info_bytes(p, "used_memory_rss", u.total);
	info_bytes(p, "used_memory_peak", u.peak);
	line(p, "used_memory_peak_perc:%.2f%%", memory_percentage(u.total, u.peak));
	info_number(p, "used_memory_overhead", u.total - u.dataset);
	info_number(p, "used_memory_startup", 0);
	info_number(p, "used_memory_dataset", u.dataset);
	line(p, "used_memory_dataset_perc:%.2f%%", memory_percentage(u.dataset, u.total));
	constant(p, "used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\n"
		    "used_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
		    "number_of_libraries:0\r\nused_memory_vm_functions:0\r\nused_memory_vm_total:0\r\n"
		    "used_memory_vm_total_human:0B\r\nused_memory_functions:0\r\nused_memory_scripts:0\r\n"
		    "used_memory_scripts_human:0B\r\n");
	info_bytes(p, "maxmemory", t->limits.max_memory);
	line(p, "maxmemory_policy:%s", config_policy(t));
	info_number(p, "max_entries", t->limits.max_entries);
	line(p, "mem_fragmentation_ratio:%.2f", memory_fragmentation(&arenas));
	info_number(p, "mem_fragmentation_bytes", arenas.resident - arenas.used);
	constant(p, "mem_not_counted_for_evict:0\r\n"
		    "mem_replication_backlog:0\r\nmem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\n");
	info_number(p, "mem_clients_normal", u.other);
	constant(p, "mem_cluster_links:0\r\nmem_aof_buffer:0\r\nmem_allocator:atomdb\r\n");
	info_number(p, "active_defrag_running", arenas.compacting);
	info_number(p, "lazyfree_pending_objects", 0);
}

static void persistence_section(struct page *p) {
	constant(p, "loading:0\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:0\r\n"
		    "current_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\ncurrent_save_keys_processed:0\r\n"
		    "current_save_keys_total:0\r\n");
	info_number(p, "rdb_changes_since_last_save", p->session->tenant->clients.changes);
	info_number(p, "rdb_bgsave_in_progress", 0);
	line(p, "rdb_last_save_time:%lld", (long long)(p->session->env->start_ms / 1000));
	constant(p, "rdb_last_bgsave_status:ok\r\nrdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\n"
		    "rdb_saves:0\r\nrdb_last_cow_size:0\r\nrdb_last_load_keys_expired:0\r\n"
		    "rdb_last_load_keys_loaded:0\r\naof_enabled:0\r\naof_rewrite_in_progress:0\r\n"
		    "aof_rewrite_scheduled:0\r\naof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n"
		    "aof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\naof_rewrites_consecutive_failures:0\r\n"
		    "aof_last_write_status:ok\r\naof_last_cow_size:0\r\nmodule_fork_in_progress:0\r\n"
		    "module_fork_last_cow_size:0\r\n");
}

/* Returns the number of channels of a kind with subscribers. */
static uint64_t channels(const struct tenant *t, enum channel_kind kind) {
	return t->clients.subscriptions == NULL ? 0 : t->clients.subscriptions->kinds[kind].count;
}

static void traffic_stats(struct page *p) {
	const struct tenant *t = p->session->tenant;
	const struct tenant_counters *f = &t->counters;
	struct rates rates = tenant_stats_rates(p->session->tenant, p->session->env);
	info_number(p, "total_connections_received", tenant_stats_counter(t, &f->connections));
	info_number(p, "total_commands_processed", tenant_stats_counter(t, &f->commands));
	line(p, "instantaneous_ops_per_sec:%.0f", rates.commands);
	info_number(p, "total_net_input_bytes", tenant_stats_counter(t, &f->input_bytes));
	info_number(p, "total_net_output_bytes", tenant_stats_counter(t, &f->output_bytes));
	constant(p, "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n");
	line(p, "instantaneous_input_kbps:%.2f", rates.input_bytes / 1024);
	line(p, "instantaneous_output_kbps:%.2f", rates.output_bytes / 1024);
	constant(p, "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n");
	info_number(p, "rejected_connections", tenant_stats_counter(t, &f->refused));
	constant(p, "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n");
	info_number(p, "throttled_commands", tenant_stats_counter(t, &f->throttled));
}

static void key_stats(struct page *p) {
	const struct tenant *t = p->session->tenant;
	const struct tenant_counters *f = &t->counters;
	info_number(p, "expired_keys", tenant_stats_counter(t, &f->expirations));
	/* No command sees due keys, and a tenant never exceeds its quota. */
	constant(p, "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\n");
	info_number(p, "evicted_keys", tenant_stats_counter(t, &f->evictions));
	info_number(p, "lost_events", tenant_stats_counter(t, &f->lost_events));
	info_number(p, "evicted_clients", tenant_stats_counter(t, &f->clients_evicted));
	constant(p, "total_eviction_exceeded_time:0\r\ncurrent_eviction_exceeded_time:0\r\n");
	info_number(p, "keyspace_hits", tenant_stats_counter(t, &f->hits));
	info_number(p, "keyspace_misses", tenant_stats_counter(t, &f->misses));
}

static void channel_stats(struct page *p) {
	const struct tenant *t = p->session->tenant;
	info_number(p, "pubsub_channels", channels(t, CHANNEL_GLOBAL));
	info_number(p, "pubsub_patterns", channels(t, CHANNEL_PATTERN));
	info_number(p, "pubsubshard_channels", channels(t, CHANNEL_SHARD));
}

static void compaction_stats(struct page *p) {
	const struct tenant *t = p->session->tenant;
	const struct tenant_counters *f = &t->counters;
	info_number(p, "active_defrag_hits", tenant_stats_counter(t, &f->moved));
	info_number(p, "active_defrag_misses", 0);
	info_number(p, "active_defrag_key_hits", tenant_stats_counter(t, &f->moved));
	constant(p, "active_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\ncurrent_active_defrag_time:0\r\n");
}

static void tracking_stats(struct page *p) {
	const struct tenant *t = p->session->tenant;
	info_number(p, "tracking_total_keys", channels(t, CHANNEL_TRACKED_KEY));
	info_number(p, "tracking_total_items",
		    t->clients.subscriptions == NULL
			    ? 0
			    : t->clients.subscriptions->kinds[CHANNEL_TRACKED_KEY].subscriptions);
	info_number(p, "tracking_total_prefixes", channels(t, CHANNEL_TRACKED_PREFIX));
}

static void io_stats(struct page *p) {
	const struct tenant *t = p->session->tenant;
	const struct tenant_counters *f = &t->counters;
	info_number(p, "unexpected_error_replies", 0);
	info_number(p, "total_error_replies", tenant_stats_counter(t, &f->errors));
	info_number(p, "dump_payload_sanitizations", 0);
	info_number(p, "total_reads_processed", tenant_stats_counter(t, &f->reads));
	info_number(p, "total_writes_processed", tenant_stats_counter(t, &f->writes));
	constant(p, "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\n"
		    "reply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n");
}

static void stats_section(struct page *p) {
	traffic_stats(p);
	key_stats(p);
	channel_stats(p);
	constant(p, "latest_fork_usec:0\r\ntotal_forks:0\r\nmigrate_cached_sockets:0\r\n"
		    "slave_expires_tracked_keys:0\r\n");
	compaction_stats(p);
	tracking_stats(p);
	io_stats(p);
}

static void replication_section(struct page *p) {
	const struct environment *env = p->session->env;
	line(p, "role:master");
	info_number(p, "connected_slaves", 0);
	line(p, "master_failover_state:no-failover");
	line(p, "master_replid:%s", env->run_id == NULL ? "" : env->run_id);
	line(p, "master_replid2:%040d", 0);
	constant(p, "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
		    "repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n");
}

static void empty_section(struct page *p) {
	(void)p;
}

/* The CPU time of the tenant's own clients. All of it is a worker's, which is Redis's main thread. */
static void cpu_section(struct page *p) {
	const struct tenant *t = p->session->tenant;
	double user = (double)counter_get(&t->counters.cpu_user_ns) / 1e9;
	double system = (double)counter_get(&t->counters.cpu_system_ns) / 1e9;
	line(p, "used_cpu_sys:%.6f", system);
	line(p, "used_cpu_user:%.6f", user);
	constant(p, "used_cpu_sys_children:0.000000\r\nused_cpu_user_children:0.000000\r\n");
	line(p, "used_cpu_sys_main_thread:%.6f", system);
	line(p, "used_cpu_user_main_thread:%.6f", user);
}

static void cluster_section(struct page *p) {
	info_number(p, "cluster_enabled", 0);
}

static void errorstats_section(struct page *p) {
	unsigned count;
	const struct error_count *errors = tenant_stats_errors(p->session->tenant, &count);
	for (unsigned i = 0; i < count; i++) {
		char code[WRITER_CODE + 1];
		size_t n = 0;
		/* Replace bytes that would end the line or the field. */
		for (const char *from = errors[i].code; *from != '\0'; from++)
			code[n++] = strchr("#:\n\r", *from) != NULL ? '_' : *from;
		code[n] = '\0';
		line(p, "errorstat_%s:count=%llu", code, (unsigned long long)errors[i].count);
	}
}

/* The sum of some keys' times to live. */
struct sample {
	int64_t now_ms;
	double sum_ms; /* deadlines may use all 64 bits */
	int64_t count;
};

static void sample_key(void *context, const struct entry *e) {
	struct sample *sample = context;
	int64_t deadline = keyspace_deadline(e);
	if (deadline == 0)
		return;
	sample->sum_ms += (double)(deadline - sample->now_ms);
	sample->count++;
}

/* Returns the average time to live, in milliseconds, of some of the keys that have one. */
static long long average_ttl(const struct session *s, unsigned database) {
	struct sample sample = {.now_ms = session_now(s)};
	uint64_t cursor = s->env->now_ns * UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned step = 0; step < TTL_STEPS && sample.count < TTL_SAMPLES; step++)
		cursor = keyspace_scan(s->tenant, database, cursor, sample_key, &sample);
	double average = sample.count == 0 ? 0 : sample.sum_ms / (double)sample.count;
	return average < 9e18 ? (long long)average : INT64_MAX;
}

static void keyspace_section(struct page *p) {
	for (unsigned i = 0; i < TENANT_DATABASES && p->error == 0; i++) {
		uint64_t keys, expiring;
		int r = keyspace_size(p->session->tenant, i, &keys, &expiring);
		if (r < 0)
			p->error = r;
		else if (keys != 0)
			line(p, "db%u:keys=%llu,expires=%llu,avg_ttl=%lld", i, (unsigned long long)keys,
			     (unsigned long long)expiring, expiring == 0 ? 0 : average_ttl(p->session, i));
	}
}

static void command_line(struct page *p, const struct command *c) {
	struct tenant *t = p->session->tenant;
	const struct command_stat *row = command_stat_used(t, c);
	if (row == NULL)
		return;
	uint64_t micros = command_stat_micros(t, c, &p->session->env->clock_start);
	line(p, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu", c->name,
	     (unsigned long long)row->calls, (unsigned long long)micros,
	     row->calls == 0 ? 0 : (double)micros / (double)row->calls, (unsigned long long)row->rejected,
	     (unsigned long long)row->failed);
}

/* Returns a percentile in microseconds: the upper bound of the bucket that this part of all durations does not exceed.
 */
static double percentile(const struct histogram *h, double part) {
	uint64_t below = 0;
	for (unsigned k = 0; k < LATENCY_BUCKETS; k++) {
		below += h->buckets[k];
		if ((double)below >= part * (double)h->calls)
			return (double)tenant_stats_bucket_end(k) / 1000;
	}
	return 0;
}

static void latency_line(struct page *p, const struct command *c) {
	const struct histogram *h = tenant_stats_histogram(p->session->tenant, c);
	if (h != NULL && h->calls != 0)
		line(p, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f", c->name, percentile(h, 0.5),
		     percentile(h, 0.99), percentile(h, 0.999));
}

static void commandstats_section(struct page *p) {
	for (const struct command *c = NULL; (c = command_next(&command_set, c)) != NULL;)
		command_line(p, c);
}

static void latencystats_section(struct page *p) {
	for (const struct command *c = NULL; (c = command_next(&command_set, c)) != NULL;)
		latency_line(p, c);
}

static const struct section {
	const char *name;
	const char *title;
	void (*write)(struct page *p);
	bool asked; /* only if it is requested, or "all" */
} sections[] = {
	{"server", "Server", server_section, false},
	{"clients", "Clients", clients_section, false},
	{"memory", "Memory", memory_section, false},
	{"persistence", "Persistence", persistence_section, false},
	{"stats", "Stats", stats_section, false},
	{"replication", "Replication", replication_section, false},
	{"cpu", "CPU", cpu_section, false},
	{"modules", "Modules", empty_section, false},
	{"commandstats", "Commandstats", commandstats_section, true},
	{"errorstats", "Errorstats", errorstats_section, false},
	{"latencystats", "Latencystats", latencystats_section, true},
	{"cluster", "Cluster", cluster_section, false},
	{"keyspace", "Keyspace", keyspace_section, false},
};

static bool wanted(const struct request *r, const struct section *section) {
	size_t work = 0;
	if (r->argc == 1)
		return !section->asked;
	for (uint32_t i = 1; i < r->argc; i++) {
		(void)fiber_check_every(&work, 1, CHECK_TEXT);
		if (slice_is(r->argv[i], section->name) || (slice_is(r->argv[i], "default") && !section->asked) ||
		    slice_is(r->argv[i], "all") || slice_is(r->argv[i], "everything"))
			return true;
	}
	return false;
}

enum outcome cmd_info(struct session *s, const struct request *r) {
	struct page page = {.session = s, .out = &s->env->scratch, .error = 0};
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (!wanted(r, &sections[i]))
			continue;
		if (page.out->len != 0)
			line(&page, "%s", "");
		line(&page, "# %s", sections[i].title);
		sections[i].write(&page);
	}
	if (page.error == ATOMDB_E_AGAIN)
		return OUTCOME_RETRY;
	if (page.error < 0)
		return reply_store_error(s, page.error);
	writer_verbatim(s->reply, "txt", buffer_slice(page.out));
	return OUTCOME_DONE;
}
