/* INFO: what clients and exporters read of a server, as far as it is the caller's tenant's to see. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "atomdb/util/error.h"
#include "atomdb/util/size.h"
#include "command/handlers.h"
#include "command/notes.h"

/* The text being made, in scratch; `error` is sticky. */
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

static void figure(struct page *p, const char *name, uint64_t value) {
	line(p, "%s:%llu", name, (unsigned long long)value);
}

/* Bytes as a number and as people read them. */
static void figure_bytes(struct page *p, const char *name, uint64_t bytes) {
	char text[32];
	size_format(bytes, text, sizeof(text));
	figure(p, name, bytes);
	line(p, "%s_human:%s", name, text);
}

static void server_section(struct page *p) {
	const struct environment *env = p->session->env;
	struct utsname os;
	int64_t uptime = (env->now_ms - env->start_ms) / 1000;
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
	line(p, "uptime_in_seconds:%lld", (long long)uptime);
	line(p, "uptime_in_days:%lld", (long long)(uptime / 86400));
	line(p, "hz:10");
	line(p, "configured_hz:10");
	line(p, "lru_clock:%lld", (long long)(env->now_ms / 1000 & 0xffffff));
	line(p, "config_file:%s", env->config_file == NULL ? "" : env->config_file);
	line(p, "tenant:%s", tenant_name(p->session->tenant));
}

static void clients_section(struct page *p) {
	const struct tenant *t = p->session->tenant;
	uint32_t max = t->limits.max_clients != 0 ? t->limits.max_clients : p->session->env->settings.max_clients;
	figure(p, "connected_clients", counter_get(&t->figures.clients));
	figure(p, "cluster_connections", 0);
	figure(p, "maxclients", max);
	figure(p, "blocked_clients", 0);
	figure(p, "tracking_clients", 0);
	figure(p, "clients_in_timeout_table", 0);
}

static void memory_section(struct page *p) {
	const struct tenant *t = p->session->tenant;
	figure_bytes(p, "used_memory", counter_get(&t->figures.bytes));
	figure_bytes(p, "maxmemory", t->limits.max_memory);
	line(p, "maxmemory_policy:%s", config_policy(t));
	figure(p, "max_entries", t->limits.max_entries);
	line(p, "mem_allocator:atomdb");
}

static void persistence_section(struct page *p) {
	figure(p, "loading", 0);
	figure(p, "async_loading", 0);
	figure(p, "rdb_bgsave_in_progress", 0);
	figure(p, "aof_enabled", 0);
	figure(p, "aof_rewrite_in_progress", 0);
	figure(p, "aof_rewrite_scheduled", 0);
}

static void stats_section(struct page *p) {
	const struct tenant *t = p->session->tenant;
	const struct tenant_figures *f = &t->figures;
	figure(p, "total_connections_received", notes_figure(t, &f->connections));
	figure(p, "total_commands_processed", notes_figure(t, &f->commands));
	figure(p, "total_net_input_bytes", notes_figure(t, &f->input_bytes));
	figure(p, "total_net_output_bytes", notes_figure(t, &f->output_bytes));
	figure(p, "throttled_commands", notes_figure(t, &f->throttled));
	figure(p, "expired_keys", notes_figure(t, &f->expirations));
	figure(p, "evicted_keys", notes_figure(t, &f->evictions));
	figure(p, "keyspace_hits", notes_figure(t, &f->hits));
	figure(p, "keyspace_misses", notes_figure(t, &f->misses));
	figure(p, "pubsub_channels", 0);
	figure(p, "pubsub_patterns", 0);
	figure(p, "latest_fork_usec", 0);
	figure(p, "total_forks", 0);
}

static void replication_section(struct page *p) {
	const struct environment *env = p->session->env;
	line(p, "role:master");
	figure(p, "connected_slaves", 0);
	line(p, "master_failover_state:no-failover");
	line(p, "master_replid:%s", env->run_id == NULL ? "" : env->run_id);
	figure(p, "master_repl_offset", 0);
	figure(p, "repl_backlog_active", 0);
}

/* The processor's time is the whole host's affair: a tenant would see the others' work in it. */
static void empty_section(struct page *p) {
	(void)p;
}

static void cluster_section(struct page *p) {
	figure(p, "cluster_enabled", 0);
}

static void keyspace_section(struct page *p) {
	for (unsigned i = 0; i < TENANT_DATABASES && p->error == 0; i++) {
		uint64_t keys, expiring;
		int r = keyspace_size(p->session->tenant, i, &keys, &expiring);
		if (r < 0)
			p->error = r;
		else if (keys != 0)
			line(p, "db%u:keys=%llu,expires=%llu,avg_ttl=0", i, (unsigned long long)keys,
			     (unsigned long long)expiring);
	}
}

static const struct section {
	const char *name;
	const char *title;
	void (*write)(struct page *p);
} sections[] = {
	{"server", "Server", server_section},
	{"clients", "Clients", clients_section},
	{"memory", "Memory", memory_section},
	{"persistence", "Persistence", persistence_section},
	{"stats", "Stats", stats_section},
	{"replication", "Replication", replication_section},
	{"cpu", "CPU", empty_section},
	{"modules", "Modules", empty_section},
	{"errorstats", "Errorstats", empty_section},
	{"cluster", "Cluster", cluster_section},
	{"keyspace", "Keyspace", keyspace_section},
};

static bool wanted(const struct request *r, const struct section *section) {
	if (r->argc == 1)
		return true;
	for (uint32_t i = 1; i < r->argc; i++) {
		if (slice_is(r->argv[i], section->name) || slice_is(r->argv[i], "default") ||
		    slice_is(r->argv[i], "all") || slice_is(r->argv[i], "everything"))
			return true;
	}
	return false;
}

enum outcome info_info(struct session *s, const struct request *r) {
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
		return OUTCOME_AGAIN;
	if (page.error < 0)
		return reply_store_error(s, page.error);
	writer_verbatim(s->reply, "txt", buffer_slice(page.out));
	return OUTCOME_DONE;
}
