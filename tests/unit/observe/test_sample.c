/* A sample of the counters of two workers and two shards. */
#include "harness.h"
#include "observe/sample.h"
#include "sources.h"

struct world {
	struct counters *counters;
	struct sample sample;
};

static struct world *world_new(void) {
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->counters = sources_new();
	assert_non_null(w->counters);
	assert_int_equal(sample_init(&w->sample, &w->counters->sources), 0);
	return w;
}

static const struct sample *collect(struct world *w) {
	assert_int_equal(sample_collect(&w->sample, &w->counters->sources), 0);
	return &w->sample;
}

static void world_free(struct world *w) {
	sample_deinit(&w->sample);
	sources_free(w->counters);
	free(w);
}

static void sums_are_of_all_workers(void **state) {
	struct world *w = world_new();
	struct sources_worker *workers = w->counters->workers;
	(void)state;
	for (unsigned i = 0; i < SOURCES_WORKERS; i++) {
		counter_set(&workers[i].clients, 3 + i);
		counter_set(&workers[i].connections, 10 * (i + 1));
		counter_set(&workers[i].rejected[METRICS_REJECT_MAX_CLIENTS], 1 + i);
		counter_set(&workers[i].rejected[METRICS_REJECT_MEMORY], 100);
		counter_set(&workers[i].states[1], 2);
		counter_set(&workers[i].auth_failures, 4);
	}
	/* A second sample does not add to the first. */
	collect(w);
	const struct sample *s = collect(w);
	assert_int_equal(s->global.clients, 7);
	assert_int_equal(s->global.connections, 30);
	assert_int_equal(s->global.auth_failures, 8);
	assert_int_equal(s->global.rejected_max_clients, 3);
	assert_int_equal(s->rejects[METRICS_REJECT_MEMORY].connections, 200);
	assert_int_equal(s->states[1].clients, 4);
	assert_int_equal(s->workers[1].clients, 4);
	world_free(w);
}

static void only_commands_that_were_called_have_a_row(void **state) {
	struct world *w = world_new();
	(void)state;
	assert_int_equal(collect(w)->command_count, 0);
	counter_set(&w->counters->workers[0].commands[COMMAND_GET].runs[0], 2);
	counter_set(&w->counters->workers[1].commands[COMMAND_GET].runs[1], 3);
	counter_set(&w->counters->workers[1].commands[COMMAND_GET].runs[2], 5);
	counter_set(&w->counters->workers[1].commands[COMMAND_SET].rejected, 1);
	const struct sample *s = collect(w);
	assert_int_equal(s->command_count, 2);
	const struct command_sample *get = &s->commands[0], *set = &s->commands[1];
	if (get->calls == 0) {
		get = &s->commands[1];
		set = &s->commands[0];
	}
	assert_int_equal(get->calls, 10);
	/* The bounds grow by a factor of four, the workers' buckets by two: two of theirs make one. */
	assert_int_equal(get->durations.counts[0], 2);
	assert_int_equal(get->durations.counts[1], 8);
	assert_int_equal(set->calls, 0);
	assert_int_equal(set->rejected, 1);
	assert_int_equal(s->global.calls, 10);
	world_free(w);
}

/* The measured length of a tick changes, but the converted sum does not decrease. */
static void a_sum_of_time_never_runs_backwards(void **state) {
	struct world *w = world_new();
	counter *ticks = &w->counters->workers[0].busy_ticks;
	uint64_t before = 0;
	(void)state;
	for (uint64_t i = 1; i < 200; i++) {
		counter_set(ticks, i * 1000);
		uint64_t now = collect(w)->workers[0].busy_ns;
		assert_true(now >= before);
		before = now;
	}
	assert_true(before > 0);
	assert_int_equal(collect(w)->workers[0].busy_ns, before);
	world_free(w);
}

static void memory_is_what_entries_tables_and_free_pages_are(void **state) {
	struct world *w = world_new();
	struct shard_counters *shard = &w->counters->workers[1].shard;
	(void)state;
	counter_set(&shard->resident, 1000);
	counter_set(&shard->used, 800);
	counter_set(&shard->used_by_entries, 500);
	const struct sample *s = collect(w);
	const struct use_sample *uses = &s->uses[ARENA_USES];
	assert_int_equal(uses[USE_ENTRIES].bytes, 500);
	assert_int_equal(uses[USE_TABLES].bytes, 300);
	assert_int_equal(uses[USE_FREE].bytes, 200);
	assert_int_equal(s->global.memory_used, 800);
	assert_int_equal(s->global.memory_overhead, 300);
	assert_int_equal(s->shards[1].fragmentation, 1250000);
	/* Without used memory the ratio is 1. */
	assert_int_equal(s->shards[0].fragmentation, 1000000);
	/* The three counters are read one after another: a difference must not underflow. */
	counter_set(&shard->used_by_entries, 900);
	counter_set(&shard->resident, 700);
	s = collect(w);
	assert_int_equal(uses[USE_TABLES].bytes, 0);
	assert_int_equal(uses[USE_FREE].bytes, 0);
	world_free(w);
}

static void a_figure_that_nobody_counts_is_absent(void **state) {
	struct world *w = world_new();
	(void)state;
	counter_set(&w->counters->log_suppressed, 5);
	assert_int_equal(collect(w)->global.log_suppressed, 5);
	w->counters->sources.log_suppressed = NULL;
	assert_true(collect(w)->global.log_suppressed == SAMPLE_ABSENT);
	world_free(w);
}

static void keys_are_counted_by_database(void **state) {
	struct world *w = world_new();
	struct tenant *one = sources_tenant(w->counters, "one"), *two = sources_tenant(w->counters, "two");
	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	counter_set(&one->counters.db_keys[0], 3);
	counter_set(&two->counters.db_keys[0], 4);
	counter_set(&two->counters.db_keys[15], 9);
	counter_set(&two->counters.db_expiring[15], 1);
	collect(w);
	const struct sample *s = collect(w);
	assert_int_equal(s->databases[0].keys, 7);
	assert_int_equal(s->databases[15].keys, 9);
	assert_int_equal(s->databases[15].expiring, 1);
	assert_int_equal(s->global.tenants, 2);
	for (unsigned i = 0; i < TENANT_DATABASES; i += 15) {
		counter_set(&one->counters.db_keys[i], 0);
		counter_set(&two->counters.db_keys[i], 0);
	}
	counter_set(&two->counters.db_expiring[15], 0);
	world_free(w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_of_all_workers),
		cmocka_unit_test(only_commands_that_were_called_have_a_row),
		cmocka_unit_test(a_sum_of_time_never_runs_backwards),
		cmocka_unit_test(memory_is_what_entries_tables_and_free_pages_are),
		cmocka_unit_test(a_figure_that_nobody_counts_is_absent),
		cmocka_unit_test(keys_are_counted_by_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
