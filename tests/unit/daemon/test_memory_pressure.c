#include "daemon/memory_pressure.h"
#include "harness.h"

#define MIB_ ((uint64_t)1 << 20)

static uint64_t decide(uint64_t allowed, uint64_t in_force, uint64_t room, uint32_t stalled, uint64_t resident) {
	struct memory_pressure p = {allowed, in_force};
	struct cgroup_memory m = {.limit = 1600 * MIB_, .room = room, .stalled = stalled};
	return memory_pressure_limit(&p, &m, resident);
}

static void without_pressure_the_configured_holds(void **state) {
	(void)state;
	assert_int_equal(decide(1400 * MIB_, 1400 * MIB_, 500 * MIB_, 0, 1000 * MIB_), 1400 * MIB_);
	assert_int_equal(decide(0, 0, 500 * MIB_, 0, 1000 * MIB_), 0);
	struct memory_pressure p = {0, 0};
	struct cgroup_memory none = {.limit = UINT64_MAX, .room = UINT64_MAX};
	assert_int_equal(memory_pressure_limit(&p, &none, 1000 * MIB_), 0);
}

static void what_is_missing_goes(void **state) {
	(void)state;
	/* An eighth of 1600 should be free, and 50 are. */
	assert_int_equal(decide(1400 * MIB_, 1400 * MIB_, 50 * MIB_, 0, 1300 * MIB_), 1150 * MIB_);
	assert_int_equal(decide(0, 0, 50 * MIB_, 0, 1300 * MIB_), 1150 * MIB_);
	/* The limit does not rise above its former value. */
	assert_int_equal(decide(1000 * MIB_, 900 * MIB_, 50 * MIB_, 0, 1300 * MIB_), 900 * MIB_);
	/* Other processes use the memory: 1 is the lowest limit. */
	assert_int_equal(decide(0, 0, 0, 0, 100 * MIB_), 1);
}

static void stalls_take_a_sixteenth_each_time(void **state) {
	(void)state;
	assert_int_equal(decide(0, 0, 1000 * MIB_, 999, 1600 * MIB_), 0);
	assert_int_equal(decide(0, 0, 1000 * MIB_, 1000, 1600 * MIB_), 1500 * MIB_);
	assert_int_equal(decide(0, 1500 * MIB_, 1000 * MIB_, 4000, 1440 * MIB_), 1350 * MIB_);
	struct memory_pressure p = {0, 0};
	struct cgroup_memory none = {.limit = UINT64_MAX, .room = UINT64_MAX, .stalled = 2000};
	assert_int_equal(memory_pressure_limit(&p, &none, 160 * MIB_), 150 * MIB_);
	/* Without any data the limit does not rise. */
	assert_int_equal(decide(1400 * MIB_, 1400 * MIB_, 1000 * MIB_, 4000, 0), 1);
}

static void relief_waits_for_ample_room(void **state) {
	(void)state;
	assert_int_equal(decide(1400 * MIB_, 1150 * MIB_, 150 * MIB_, 0, 1150 * MIB_), 1150 * MIB_);
	assert_int_equal(decide(1400 * MIB_, 1150 * MIB_, 200 * MIB_, 0, 1150 * MIB_), 1400 * MIB_);
	assert_int_equal(decide(0, 1150 * MIB_, 200 * MIB_, 0, 1150 * MIB_), 0);
	/* A reload that lowers the limit takes effect at once. */
	assert_int_equal(decide(100 * MIB_, 1150 * MIB_, 150 * MIB_, 0, 1150 * MIB_), 100 * MIB_);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_pressure_the_configured_holds),
		cmocka_unit_test(what_is_missing_goes),
		cmocka_unit_test(stalls_take_a_sixteenth_each_time),
		cmocka_unit_test(relief_waits_for_ample_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
