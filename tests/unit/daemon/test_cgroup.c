#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "harness.h"

static char root[64];

static void put(const char *name, const char *text) {
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void make(const char *name) {
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static uint64_t limit(void) {
	char path[256];
	snprintf(path, sizeof(path), "%s/self", root);
	return cgroup_memory_limit(path, root);
}

static int set_up(void **state) {
	(void)state;
	snprintf(root, sizeof(root), "/tmp/atomdb-cgroup-XXXXXX");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int tear_down(void **state) {
	char command[128];
	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void the_lowest_limit_of_all_levels_counts(void **state) {
	(void)state;
	make("system.slice");
	make("system.slice/atomdb.service");
	put("self", "0::/system.slice/atomdb.service\n");
	assert_true(limit() == UINT64_MAX);
	put("system.slice/atomdb.service/memory.max", "max\n");
	put("system.slice/atomdb.service/memory.high", "max\n");
	assert_true(limit() == UINT64_MAX);
	put("system.slice/atomdb.service/memory.max", "4096000\n");
	assert_int_equal(limit(), 4096000);
	put("system.slice/atomdb.service/memory.high", "2048000\n");
	assert_int_equal(limit(), 2048000);
	put("system.slice/memory.max", "1024000\n");
	assert_int_equal(limit(), 1024000);
	put("memory.max", "512000\n");
	assert_int_equal(limit(), 512000);
	put("self", "0::/\n");
	assert_int_equal(limit(), 512000);
}

static void what_cannot_be_read_is_no_limit(void **state) {
	(void)state;
	assert_true(limit() == UINT64_MAX);
	put("memory.max", "4096\n");
	put("self", "");
	assert_true(limit() == UINT64_MAX);
	put("self", "12:memory:/group\n");
	assert_true(limit() == UINT64_MAX);
	put("self", "0::/../outside\n");
	assert_true(limit() == UINT64_MAX);
	put("self", "12:cpu:/group\n0::/gone/altogether\n");
	assert_int_equal(limit(), 4096);
	put("memory.max", "-1\n");
	assert_true(limit() == UINT64_MAX);
	put("memory.max", "none of your numbers\n");
	assert_true(limit() == UINT64_MAX);
}

static bool reading(struct cgroup_memory *m) {
	char path[256];
	snprintf(path, sizeof(path), "%s/self", root);
	return cgroup_memory_read(path, root, m);
}

static void the_level_with_the_least_room_is_read(void **state) {
	(void)state;
	struct cgroup_memory m;
	assert_false(reading(&m));
	make("system.slice");
	make("system.slice/atomdb.service");
	put("self", "0::/system.slice/atomdb.service\n");
	assert_true(reading(&m));
	assert_true(m.limit == UINT64_MAX && m.room == UINT64_MAX && m.stalled == 0);
	put("system.slice/atomdb.service/memory.max", "4000000\n");
	put("system.slice/atomdb.service/memory.high", "max\n");
	put("system.slice/atomdb.service/memory.current", "3000000\n");
	put("system.slice/atomdb.service/memory.stat", "anon 1\ninactive_file 500000\nactive_file 7\n");
	put("system.slice/atomdb.service/memory.pressure",
	    "some avg10=12.34 avg60=1.00 avg300=0.00 total=5\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=1\n");
	assert_true(reading(&m));
	assert_int_equal(m.limit, 4000000);
	assert_int_equal(m.room, 1500000);
	assert_int_equal(m.stalled, 1234);
	put("system.slice/memory.high", "2000000\n");
	put("system.slice/memory.current", "1900000\n");
	assert_true(reading(&m));
	assert_int_equal(m.limit, 2000000);
	assert_int_equal(m.room, 100000);
	put("system.slice/memory.current", "9900000\n");
	put("system.slice/atomdb.service/memory.pressure", "some avg10=nan avg60");
	assert_true(reading(&m));
	assert_int_equal(m.room, 0);
	assert_int_equal(m.stalled, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_lowest_limit_of_all_levels_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_no_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_level_with_the_least_room_is_read, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
