/* The page as a scraper reads it: exact lines, and the rules of the format for the whole page. */
#include <ctype.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/store/tenant.h"
#include "harness.h"
#include "sources.h"

/* The page, with a newline before it and a terminator behind it. */
static char *render(struct metrics *m) {
	struct buffer b;
	buffer_init(&b);
	assert_int_equal(buffer_append(&b, "\n", 1, SIZE_MAX), 0);
	assert_int_equal(metrics_render(m, METRICS_TEXT, true, &b), 0);
	assert_int_equal(buffer_append(&b, "", 1, SIZE_MAX), 0);
	char *page = strdup(b.data);
	assert_non_null(page);
	buffer_deinit(&b);
	return page;
}

static struct metrics *new_metrics(const struct counters *f) {
	struct metrics *m = NULL;
	assert_non_null(f);
	assert_int_equal(metrics_new(&m, &f->sources), 0);
	return m;
}

static bool has_line(const char *page, const char *line) {
	char *with_ends = NULL;
	assert_true(asprintf(&with_ends, "\n%s\n", line) > 0);
	bool found = strstr(page, with_ends) != NULL;
	if (!found)
		print_message("not on the page: %s\n", line);
	free(with_ends);
	return found;
}

static void fill_workers(struct counters *f) {
	for (unsigned i = 0; i < SOURCES_WORKERS; i++) {
		struct sources_worker *w = &f->workers[i];
		counter *counters[] = {
			&w->clients,
			&w->connections,
			&w->rejected[METRICS_REJECT_MAX_CLIENTS],
			&w->rejected[METRICS_REJECT_OPEN_FILES],
			&w->moved,
			&w->input_bytes,
			&w->output_bytes,
			&w->protocol_errors,
			&w->output_limit,
			&w->idle_closed,
			&w->turns,
			&w->longest_turn_ns,
			&w->auth_failures,
			&w->unknown_commands,
			&w->shard.resident,
			&w->shard.used,
			&w->shard.tenants,
			&w->shard.keys,
			&w->shard.resizes,
			&w->shard.swept,
			&w->shard.lag_ms_total,
			&w->messages,
			&w->states[1],
			&w->rejected[METRICS_REJECT_MAX_TENANTS],
			&w->shard.used_by_entries,
			&w->stalls,
		};
		for (unsigned j = 0; j < sizeof(counters) / sizeof(counters[0]); j++)
			counter_set(counters[j], 100 * (i + 1) + j);
		counter_set(&w->commands[COMMAND_GET].runs[0], 10 + i);
		counter_set(&w->shard.resident, 1000);
		counter_set(&w->commands[COMMAND_GET].failed, 1);
		counter_set(&w->commands[COMMAND_SET].rejected, 2);
	}
}

static void test_workers_and_shards(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	(void)state;
	fill_workers(f);
	char *page = render(m);
	const char *lines[] = {
		"redis_connected_clients 300",
		"# TYPE redis_connected_clients gauge",
		"redis_connections_received_total 302",
		"# TYPE redis_connections_received_total counter",
		"redis_rejected_connections_total 304",
		"redis_net_input_bytes_total 310",
		"redis_net_output_bytes_total 312",
		"redis_acl_access_denied_auth_total 324",
		"atomdb_unknown_commands_total 326",
		"redis_memory_used_bytes 330",
		"atomdb_worker_clients{worker=\"0\"} 100",
		"atomdb_worker_clients{worker=\"1\"} 200",
		"atomdb_worker_connections_total{worker=\"1\"} 201",
		"atomdb_rejected_connections_total{reason=\"max_clients\"} 304",
		"atomdb_rejected_connections_total{reason=\"open_files\"} 306",
		"atomdb_rejected_connections_total{reason=\"max_tenants\"} 346",
		"atomdb_clients{state=\"here\"} 0",
		"atomdb_clients{state=\"there\"} 344",
		"atomdb_worker_inbox_messages_total{worker=\"0\"} 121",
		"atomdb_arena_bytes{shard=\"1\",use=\"entries\"} 224",
		"atomdb_arena_bytes{shard=\"1\",use=\"tables\"} 0",
		"atomdb_arena_bytes{shard=\"1\",use=\"free\"} 785",
		"atomdb_worker_moved_connections_total{worker=\"0\"} 104",
		"atomdb_worker_input_bytes_total{worker=\"0\"} 105",
		"atomdb_worker_output_bytes_total{worker=\"0\"} 106",
		"atomdb_worker_protocol_errors_total{worker=\"0\"} 107",
		"atomdb_worker_output_limit_closed_total{worker=\"0\"} 108",
		"atomdb_worker_idle_closed_total{worker=\"0\"} 109",
		"atomdb_worker_turns_total{worker=\"0\"} 110",
		"atomdb_worker_longest_turn_seconds{worker=\"0\"} 0.000000111",
		"atomdb_worker_stalls_total{worker=\"1\"} 225",
		"atomdb_arena_resident_bytes{shard=\"0\"} 1000",
		"atomdb_arena_used_bytes{shard=\"1\"} 215",
		"atomdb_shard_tenants{shard=\"0\"} 116",
		"atomdb_shard_keys{shard=\"0\"} 117",
		"atomdb_shard_table_resizes_total{shard=\"0\"} 118",
		"atomdb_expiry_swept_keys_total{shard=\"0\"} 119",
		"atomdb_expiry_lag_seconds_sum 0.34",
		"redis_commands_total{cmd=\"get\"} 21",
		"redis_commands_total{cmd=\"set\"} 0",
		"redis_commands_failed_calls_total{cmd=\"get\"} 2",
		"redis_commands_rejected_calls_total{cmd=\"set\"} 4",
		"redis_commands_processed_total 21",
	};
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_true(has_line(page, lines[i]));
	assert_null(strstr(page, "cmd=\"ping\""));
	free(page);
	metrics_free(m);
	sources_free(f);
}

static void test_process_and_identity(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	char line[128];
	(void)state;
	counter_set(&f->log_suppressed, 9);
	f->sources.clock_start.ns -= 2500000000;
	char *page = render(m);
	assert_true(has_line(page, "redis_up 1"));
	assert_true(has_line(page, "redis_max_clients 77"));
	assert_true(has_line(page, "redis_config_maxclients 77"));
	assert_true(has_line(page, "redis_memory_max_bytes 1048576"));
	assert_true(has_line(page, "atomdb_log_suppressed_total 9"));
	assert_true(has_line(page, "redis_db_keys{db=\"db15\"} 0"));
	snprintf(line, sizeof(line), ",redis_version=\"7.0.15\",process_id=\"%d\",", getpid());
	assert_non_null(strstr(page, line));
	assert_non_null(strstr(page, "\natomdb_build_info{version=\"1.2.3\",compiler=\""));
	assert_non_null(strstr(page, "\nredis_uptime_in_seconds 2."));
	const char *positive[] = {
		"process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
		"process_cpu_seconds_total",     "process_start_time_seconds"};
	for (unsigned i = 0; i < sizeof(positive) / sizeof(positive[0]); i++) {
		snprintf(line, sizeof(line), "\n%s ", positive[i]);
		const char *at = strstr(page, line);
		assert_non_null(at);
		assert_true(strtod(at + strlen(line), NULL) > 0);
	}
	const char *start = strstr(page, "\nprocess_start_time_seconds ");
	assert_true(labs(strtol(start + 28, NULL, 10) - time(NULL)) < 3600);
	free(page);
	/* A metric without a value is omitted. */
	f->sources.log_suppressed = NULL;
	page = render(m);
	assert_null(strstr(page, "log_suppressed"));
	free(page);
	metrics_free(m);
	sources_free(f);
}

static void test_tenants_are_summed(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	char line[160];
	(void)state;
	f->sources.tenants_shown = 1;
	struct tenant *a = sources_tenant(f, "secret a"), *b = sources_tenant(f, "secret b");
	assert_non_null(a);
	assert_non_null(b);
	counter_set(&a->counters.bytes, 1 << 30);
	counter_set(&a->counters.hits, 40);
	counter_set(&a->counters.db_keys[3], 7);
	counter_set(&a->counters.db_expiring[3], 5);
	counter_set(&a->counters.quota_entries, 30);
	counter_set(&b->counters.hits, 2);
	counter_set(&b->counters.evictions, 3);
	counter_set(&b->counters.expirations, 4);
	counter_set(&b->counters.misses, 5);
	counter_set(&b->counters.db_keys[3], 1);
	counter_set(&f->workers[1].shard.retired.hits, 1000);
	counter_set(&f->workers[0].shard.retired.evictions, 100);
	char *page = render(m);
	assert_true(has_line(page, "atomdb_tenants 2"));
	assert_true(has_line(page, "redis_keyspace_hits_total 1042"));
	assert_true(has_line(page, "redis_keyspace_misses_total 5"));
	assert_true(has_line(page, "redis_evicted_keys_total 103"));
	assert_true(has_line(page, "redis_expired_keys_total 4"));
	assert_true(has_line(page, "redis_db_keys{db=\"db3\"} 8"));
	assert_true(has_line(page, "redis_db_keys_expiring{db=\"db3\"} 5"));
	snprintf(line, sizeof(line), "atomdb_tenant_keyspace_hits_total{tenant=\"%s\"} 40", tenant_name(a));
	assert_true(has_line(page, line));
	snprintf(line, sizeof(line), "atomdb_tenant_quota_keys{tenant=\"%s\"} 30", tenant_name(a));
	assert_true(has_line(page, line));
	snprintf(line, sizeof(line), "atomdb_tenant_memory_bytes{tenant=\"%s\"} 1073741824", tenant_name(a));
	assert_true(has_line(page, line));
	assert_null(strstr(page, tenant_name(b)));
	assert_true(has_line(page, "atomdb_tenant_keyspace_hits_total{tenant=\"_other\"} 1002"));
	assert_null(strstr(page, "atomdb_tenant_quota_keys{tenant=\"_other\"}"));
	free(page);
	/* A reload may set any value. */
	f->sources.tenants_shown = 2000;
	page = render(m);
	assert_non_null(strstr(page, tenant_name(b)));
	free(page);
	metrics_free(m);
	sources_free(f);
}

static void test_histograms(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	(void)state;
	struct shard_counters *shard = &f->workers[0].shard;
	counter *runs = f->workers[0].commands[COMMAND_GET].runs;
	/* Less than one unit, less than two, four and eight; and the longest duration. */
	for (unsigned i = 0; i < 4; i++)
		counter_set(&runs[i], 1 + i);
	counter_set(&runs[DURATION_BUCKETS - 1], 100);
	counter_set(&f->workers[1].commands[COMMAND_GET].runs[0], 10);
	counter_set(&shard->lags[0], 5);
	counter_set(&shard->lags[LAG_BUCKETS - 1], 1);
	counter_set(&shard->eviction_ages[1], 7);
	counter_set(&shard->eviction_age_ticks, 7);
	char *page = render(m);
	const char *lines[] = {
		"# TYPE atomdb_command_duration_seconds histogram",
		"atomdb_command_duration_seconds_bucket{cmd=\"get\",le=\"0.000001024\"} 11",
		"atomdb_command_duration_seconds_bucket{cmd=\"get\",le=\"0.000004096\"} 16",
		"atomdb_command_duration_seconds_bucket{cmd=\"get\",le=\"0.000016384\"} 20",
		"atomdb_command_duration_seconds_bucket{cmd=\"get\",le=\"4.294967296\"} 20",
		"atomdb_command_duration_seconds_bucket{cmd=\"get\",le=\"+Inf\"} 120",
		"atomdb_command_duration_seconds_sum{cmd=\"get\"} 0",
		"atomdb_command_duration_seconds_count{cmd=\"get\"} 120",
		"redis_commands_total{cmd=\"get\"} 120",
		"atomdb_expiry_lag_seconds_bucket{le=\"0.001\"} 5",
		"atomdb_expiry_lag_seconds_bucket{le=\"16.384\"} 5",
		"atomdb_expiry_lag_seconds_bucket{le=\"+Inf\"} 6",
		"atomdb_expiry_lag_seconds_count 6",
		"atomdb_eviction_age_seconds_bucket{le=\"262.144\"} 0",
		"atomdb_eviction_age_seconds_bucket{le=\"524.288\"} 7",
		"atomdb_eviction_age_seconds_sum 1835.008",
	};
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_true(has_line(page, lines[i]));
	free(page);
	metrics_free(m);
	sources_free(f);
}

static double duration(const char *page) {
	const char *at = strstr(page, "\nredis_commands_duration_seconds_total{cmd=\"get\"} ");
	assert_non_null(at);
	return strtod(strchr(at, '}') + 1, NULL);
}

static void test_durations_never_decrease(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	double last = 0;
	(void)state;
	counter_set(&f->workers[0].commands[COMMAND_GET].runs[0], 1);
	for (unsigned i = 0; i < 200; i++) {
		/* The measured rate becomes more precise. A sum must not decrease with it. */
		if (i % 2 == 0)
			counter_add(&f->workers[i / 2 % 2].commands[COMMAND_GET].ticks, 1000000007);
		char *page = render(m);
		double now = duration(page);
		assert_true(i % 2 == 0 ? now > last : now == last);
		last = now;
		free(page);
	}
	/* A tick of the processor takes 0.1 to 10 ns. */
	assert_true(last > 10 && last < 1001);
	metrics_free(m);
	sources_free(f);
}

/* Returns the family that a sample or comment line names. */
static void family_of(const char *line, char name[128]) {
	size_t n = 0;
	if (*line == '#')
		line += strlen("# HELP ");
	while (n < 127 && (isalnum((unsigned char)line[n]) || line[n] == '_')) {
		name[n] = line[n];
		n++;
	}
	name[n] = '\0';
}

static void test_format_rules(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	char family[128] = "", name[128], seen[200][128];
	unsigned families = 0;
	bool counts = false, buckets = false;
	(void)state;
	fill_workers(f);
	assert_non_null(sources_tenant(f, "x"));
	char *page = render(m);
	assert_int_equal(page[strlen(page) - 1], '\n');
	char *rest = NULL;
	for (char *line = strtok_r(page, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		family_of(line, name);
		if (buckets && *line != '#')
			*strrchr(name, '_') = '\0';
		if (strncmp(line, "# HELP ", 7) == 0) {
			/* Each family occurs once, with all of its lines together. */
			for (unsigned i = 0; i < families; i++)
				assert_string_not_equal(seen[i], name);
			assert_true(families < 200);
			strcpy(seen[families++], name);
			strcpy(family, name);
			assert_true(strlen(line) > 7 + strlen(name) + 8);
			continue;
		}
		assert_string_equal(name, family);
		if (strncmp(line, "# TYPE ", 7) == 0) {
			counts = strcmp(strrchr(line, ' '), " counter") == 0;
			buckets = strcmp(strrchr(line, ' '), " histogram") == 0;
			size_t len = strlen(name);
			assert_int_equal(counts, len > 6 && strcmp(name + len - 6, "_total") == 0);
			continue;
		}
		char *end = NULL;
		assert_true(strtod(strrchr(line, ' '), &end) >= 0);
		assert_int_equal(*end, '\0');
	}
	assert_true(families > 60);
	free(page);
	metrics_free(m);
	sources_free(f);
}

static void test_a_thousand_tenants(void **state) {
	struct counters *f = sources_new();
	struct metrics *m = new_metrics(f);
	struct timespec from, to;
	char name[32];
	(void)state;
	f->sources.tenants_shown = 1000;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "secret %u", i);
		struct tenant *t = sources_tenant(f, name);
		assert_non_null(t);
		counter_set(&t->counters.bytes, (uint64_t)i * 7919 % 1000);
	}
	free(render(m));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	char *page = render(m);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
	print_message("a page of 1000 tenants, %zu bytes: %.2f ms\n", strlen(page), ms);
	/* The target is 10 ms. Sanitizers and some machines are slower: this limit detects quadratic work only. */
	assert_true(ms < 500);
	free(page);
	metrics_free(m);
	sources_free(f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_and_shards),       cmocka_unit_test(test_process_and_identity),
		cmocka_unit_test(test_tenants_are_summed),       cmocka_unit_test(test_histograms),
		cmocka_unit_test(test_durations_never_decrease), cmocka_unit_test(test_format_rules),
		cmocka_unit_test(test_a_thousand_tenants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
