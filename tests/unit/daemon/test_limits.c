/* Limits of the configuration, and limits of the process. */
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "daemon/daemon_state.h"
#include "daemon/limits.h"
#include "harness.h"

struct seen {
	unsigned events[LOG_EVENT_COUNT];
};

static void report(void *context, const struct log_event *event) {
	((struct seen *)context)->events[event->id]++;
}

static struct daemon *make(struct seen *seen, struct log_sink *sink) {
	struct daemon *d = calloc(1, sizeof(*d));
	assert_non_null(d);
	*seen = (struct seen){0};
	*sink = (struct log_sink){report, seen};
	d->events = sink;
	d->memory_room = UINT64_MAX;
	return d;
}

static void there_is_a_worker_for_each_cpu_unless_told_otherwise(void **state) {
	struct config c = {.workers = 7};
	cpu_set_t cpus, one;
	(void)state;
	assert_int_equal(limits_count_workers(&c), 7);
	c.workers = 0;
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	assert_int_equal(limits_count_workers(&c), CPU_COUNT(&cpus));
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &cpus) && CPU_COUNT(&one) == 0)
			CPU_SET(i, &one);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(limits_count_workers(&c), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

static void clients_have_the_descriptors_that_the_daemon_does_not_need(void **state) {
	struct rlimit before, now;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit low = {.rlim_cur = 300, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	uint32_t one = limits_client_room(1), four = limits_client_room(4);
	/* Raises the soft limit to the hard one. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, now.rlim_max);
	assert_true(one > four && one < now.rlim_cur);
	assert_int_equal(one - four, 3 * 8);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void max_clients_is_what_descriptors_allow(void **state) {
	struct seen seen;
	struct log_sink sink;
	struct daemon *d = make(&seen, &sink);
	struct config c = {.settings.max_clients = 50};
	(void)state;
	d->client_room = 100;
	assert_int_equal(limits_settings(d, &c).max_clients, 50);
	assert_int_equal(seen.events[LOG_EVENT_OPEN_FILES], 0);
	c.settings.max_clients = 0;
	assert_int_equal(limits_settings(d, &c).max_clients, 100);
	assert_int_equal(seen.events[LOG_EVENT_OPEN_FILES], 0);
	c.settings.max_clients = 101;
	assert_int_equal(limits_settings(d, &c).max_clients, 100);
	assert_int_equal(seen.events[LOG_EVENT_OPEN_FILES], 1);
	free(d);
}

static void tenants_get_seven_eighths_of_the_control_groups_memory(void **state) {
	struct seen seen;
	struct log_sink sink;
	struct daemon *d = make(&seen, &sink);
	struct config c = {.max_memory = 0};
	(void)state;
	/* Without a control group the configuration decides. */
	assert_int_equal(limits_memory_budget(d, &c), 0);
	c.max_memory = 1000;
	assert_int_equal(limits_memory_budget(d, &c), 1000);
	d->memory_room = 8000;
	assert_int_equal(limits_memory_budget(d, &c), 1000);
	c.max_memory = 7000;
	assert_int_equal(limits_memory_budget(d, &c), 7000);
	assert_int_equal(seen.events[LOG_EVENT_MEMORY_DIFFERS], 0);
	/* A lower limit than the configured one is a warning. */
	c.max_memory = 7001;
	assert_int_equal(limits_memory_budget(d, &c), 7000);
	assert_int_equal(seen.events[LOG_EVENT_MEMORY_DIFFERS], 1);
	assert_int_equal(seen.events[LOG_EVENT_MEMORY_LIMIT], 0);
	c.max_memory = 0;
	assert_int_equal(limits_memory_budget(d, &c), 7000);
	assert_int_equal(seen.events[LOG_EVENT_MEMORY_LIMIT], 1);
	free(d);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_a_worker_for_each_cpu_unless_told_otherwise),
		cmocka_unit_test(clients_have_the_descriptors_that_the_daemon_does_not_need),
		cmocka_unit_test(max_clients_is_what_descriptors_allow),
		cmocka_unit_test(tenants_get_seven_eighths_of_the_control_groups_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
