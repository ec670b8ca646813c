/* Counters over all processes of a unit. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/restart_counters.h"
#include "harness.h"

static int memfd(const void *bytes, size_t size) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static void a_first_start_counts_nothing(void **state) {
	(void)state;
	struct restart_counters c = restart_counters_add(-1, RECOVERY_NEW, 0);
	assert_true(c.magic != 0);
	assert_int_equal(c.restarts, 0);
	assert_int_equal(c.crashes, 0);
	assert_int_equal(c.dropped, 0);
}

static void starts_are_added_to_what_was_kept(void **state) {
	struct restart_counters c = restart_counters_add(-1, RECOVERY_NEW, 0);
	(void)state;
	int fd = memfd(&c, sizeof(c));
	c = restart_counters_add(dup(fd), RECOVERY_CLEAN, 0);
	assert_int_equal(c.restarts, 1);
	c = restart_counters_add(dup(fd), RECOVERY_CRASHED, 7);
	c = restart_counters_add(dup(fd), RECOVERY_CRASHED, 2);
	assert_int_equal(c.restarts, 1);
	assert_int_equal(c.crashes, 2);
	assert_int_equal(c.dropped, 9);
	/* The file has the counters for the next process. */
	struct restart_counters kept;
	assert_int_equal(pread(fd, &kept, sizeof(kept), 0), sizeof(kept));
	assert_memory_equal(&kept, &c, sizeof(kept));
	close(fd);
}

static void a_file_of_another_kind_is_not_touched(void **state) {
	char bytes[sizeof(struct restart_counters) + 8], now[sizeof(bytes)];
	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t size = sizeof(bytes) - 8; size <= sizeof(bytes); size += 8) {
		int fd = memfd(bytes, size);
		struct restart_counters c = restart_counters_add(dup(fd), RECOVERY_CRASHED, 3);
		assert_int_equal(c.crashes, 1);
		assert_int_equal(c.dropped, 3);
		assert_int_equal(pread(fd, now, sizeof(now), 0), (ssize_t)size);
		assert_memory_equal(now, bytes, size);
		close(fd);
	}
}

static void takes_the_descriptor_over(void **state) {
	(void)state;
	int fd = memfd("x", 1);
	(void)restart_counters_add(fd, RECOVERY_NEW, 0);
	assert_int_equal(close(fd), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_start_counts_nothing),
		cmocka_unit_test(starts_are_added_to_what_was_kept),
		cmocka_unit_test(a_file_of_another_kind_is_not_touched),
		cmocka_unit_test(takes_the_descriptor_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
