/* MEMORY: the tenant's charge, by purpose. */
#include "commands/server/memory.h"

#include <stdio.h>
#include <string.h>

#include "atomdb/session/options.h"
#include "atomdb/store/compact.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/size.h"
#include "commands/handlers.h"

#define REPORT_MAX 512

struct memory_usage memory_take_apart(const struct tenant *t) {
	struct memory_usage u = {.total = counter_get(&t->counters.bytes), .keys = counter_get(&t->counters.keys)};
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		uint64_t all, table;
		tenant_database_bytes(t, i, &all, &table);
		u.tables += table;
		u.dataset += all - table;
	}
	u.other = u.total - u.tables - u.dataset;
	u.peak = counter_get(&t->counters.peak_bytes);
	if (u.peak < u.total)
		u.peak = u.total;
	return u;
}

struct arenas memory_arenas(const struct session *s) {
	uint64_t own = counter_get(&s->tenant->counters.bytes);
	return s->tenant->is_operator ? registry_arenas(s->env->registry) : (struct arenas){own, own, false};
}

double memory_fragmentation(const struct arenas *a) {
	return a->used == 0 || a->resident < a->used ? 1 : (double)a->resident / (double)a->used;
}

double memory_percentage(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0 : (double)part * 100 / (double)whole;
}

enum outcome cmd_memory_usage(struct session *s, const struct request *r) {
	static const struct command_option samples = OPTION("samples", .flag = 1, .values = 1);
	struct options o = options_begin(r, 3, &samples, 1);
	int64_t count = 0;
	while (count >= 0 && options_next(&o) != NULL) {
		if (!request_integer(s, *o.value, &count))
			return OUTCOME_DONE;
	}
	if (o.error != OPTIONS_OK || count < 0)
		return reply_syntax_error(s);
	struct key key = request_key(s, r, 2);
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	if (e == NULL)
		writer_null(s->reply);
	else
		writer_integer(s->reply, (int64_t)keyspace_memory(s->tenant, e));
	return OUTCOME_DONE;
}

static void reply_pair(struct writer *w, const char *name, uint64_t value) {
	writer_bulk(w, slice_of(name));
	writer_integer(w, (int64_t)value);
}

static size_t count_databases(const struct tenant *t) {
	size_t count = 0;
	for (unsigned i = 0; i < TENANT_DATABASES; i++)
		count += counter_get(&t->counters.db_keys[i]) != 0;
	return count;
}

static void reply_databases(struct writer *w, const struct tenant *t) {
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		uint64_t all, table;
		char name[16];
		if (counter_get(&t->counters.db_keys[i]) == 0)
			continue;
		tenant_database_bytes(t, i, &all, &table);
		snprintf(name, sizeof(name), "db.%u", i);
		writer_bulk(w, slice_of(name));
		writer_map(w, 3);
		reply_pair(w, "overhead.hashtable.main", table);
		reply_pair(w, "overhead.hashtable.expires", 0);
		reply_pair(w, "overhead.hashtable.slot-to-keys", 0);
	}
}

enum outcome cmd_memory_stats(struct session *s, const struct request *r) {
	(void)r;
	struct writer *w = s->reply;
	struct memory_usage u = memory_take_apart(s->tenant);
	struct arenas arenas = memory_arenas(s);
	writer_map(w, 18 + count_databases(s->tenant));
	reply_pair(w, "peak.allocated", u.peak);
	reply_pair(w, "total.allocated", u.total);
	reply_pair(w, "startup.allocated", 0);
	reply_pair(w, "replication.backlog", 0);
	reply_pair(w, "clients.slaves", 0);
	reply_pair(w, "clients.normal", u.other);
	reply_pair(w, "cluster.links", 0);
	reply_pair(w, "aof.buffer", 0);
	reply_pair(w, "lua.caches", 0);
	reply_pair(w, "functions.caches", 0);
	reply_databases(w, s->tenant);
	reply_pair(w, "overhead.total", u.total - u.dataset);
	reply_pair(w, "keys.count", u.keys);
	reply_pair(w, "keys.bytes-per-key", u.keys == 0 ? 0 : u.total / u.keys);
	reply_pair(w, "dataset.bytes", u.dataset);
	writer_bulk(w, SLICE("dataset.percentage"));
	writer_double(w, memory_percentage(u.dataset, u.total));
	writer_bulk(w, SLICE("peak.percentage"));
	writer_double(w, memory_percentage(u.total, u.peak));
	writer_bulk(w, SLICE("fragmentation"));
	writer_double(w, memory_fragmentation(&arenas));
	reply_pair(w, "fragmentation.bytes", arenas.resident - arenas.used);
	return OUTCOME_DONE;
}

static void add_arenas(const struct session *s, char *text, size_t size) {
	struct arenas a = memory_arenas(s);
	char used[32], pages[32];
	size_t len = strlen(text);
	size_format(a.used, used, sizeof(used));
	size_format(a.resident, pages, sizeof(pages));
	snprintf(text + len, size - len, "All tenants have %s in pages of %s (fragmentation %.2f)%s.\n", used, pages,
		 memory_fragmentation(&a), a.compacting ? "; keys are being moved together" : "");
}

enum outcome cmd_memory_doctor(struct session *s, const struct request *r) {
	(void)r;
	const struct tenant_limits *limits = &s->tenant->limits;
	struct memory_usage u = memory_take_apart(s->tenant);
	char text[REPORT_MAX], used[32], most[32];
	size_format(u.total, used, sizeof(used));
	size_format(limits->max_memory, most, sizeof(most));
	if (limits->max_memory == 0)
		snprintf(text, sizeof(text), "This tenant uses %s and has no limit of its own.\n", used);
	else if (u.total < limits->max_memory / 10 * 9)
		snprintf(text, sizeof(text), "This tenant uses %s of %s: there is room.\n", used, most);
	else
		snprintf(text, sizeof(text), "This tenant uses %s of %s: it is nearly full, and then %s.\n", used, most,
			 limits->eviction == EVICTION_LRU ? "its least recently used keys are evicted"
							  : "its writes are refused");
	if (s->tenant->is_operator)
		add_arenas(s, text, sizeof(text));
	writer_verbatim(s->reply, "txt", slice_of(text));
	return OUTCOME_DONE;
}

enum outcome cmd_memory_malloc_stats(struct session *s, const struct request *r) {
	(void)r;
	struct buffer *out = &s->env->scratch;
	int error = 0;
	for (unsigned i = 0; i < TENANT_DATABASES && error == 0; i++) {
		uint64_t all, table;
		char line[128];
		tenant_database_bytes(s->tenant, i, &all, &table);
		if (all == 0)
			continue;
		int n = snprintf(line, sizeof(line), "db%u: %llu bytes in entries, %llu in tables\n", i,
				 (unsigned long long)(all - table), (unsigned long long)table);
		error = buffer_append(out, line, (size_t)n, SIZE_MAX);
	}
	if (error < 0)
		return reply_store_error(s, error);
	writer_verbatim(s->reply, "txt", buffer_slice(out));
	return OUTCOME_DONE;
}

enum outcome cmd_memory_purge(struct session *s, const struct request *r) {
	(void)r;
	shard_purge(s->tenant->shard);
	writer_ok(s->reply);
	return OUTCOME_DONE;
}

enum outcome cmd_memory_help(struct session *s, const struct request *r) {
	(void)r;
	static const char *const lines[] = {
		"DOCTOR",
		"    Returns a report about the tenant's memory and its quota.",
		"MALLOC-STATS",
		"    Returns the sizes of each database.",
		"PURGE",
		"    Starts to compact memory and to return free pages to the kernel.",
		"STATS",
		"    Returns the tenant's memory by use.",
		"USAGE <key> [SAMPLES <count>]",
		"    Returns the memory charged for a key, in bytes.",
	};
	return reply_help_lines(s, "memory", lines);
}
