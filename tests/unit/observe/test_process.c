/* The kernel's figures of this process. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "atomdb/util/clock.h"
#include "harness.h"
#include "observe/process.h"

static struct process_counters look(void) {
	struct process_counters p;
	process_read(&p);
	return p;
}

static void every_figure_is_known(void **state) {
	struct process_counters p = look();
	(void)state;
	assert_true(p.cpu_user_us != PROCESS_UNKNOWN);
	assert_true(p.cpu_system_us != PROCESS_UNKNOWN);
	assert_in_range(p.resident_bytes, 1 << 16, UINT64_C(1) << 34);
	assert_true(p.virtual_bytes != PROCESS_UNKNOWN && p.virtual_bytes >= p.resident_bytes);
	assert_in_range(p.open_fds, 1, 10000);
}

static void counts_open_descriptors(void **state) {
	int fds[10];
	uint64_t before = look().open_fds;
	(void)state;
	for (int i = 0; i < 10; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	assert_int_equal(look().open_fds, before + 10);
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	assert_int_equal(look().open_fds, before);
}

static void tells_the_limit_on_descriptors(void **state) {
	struct rlimit before, lower;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	lower = before;
	lower.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
	uint64_t told = look().max_fds;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(told, 100);
}

static void memory_that_is_touched_is_resident(void **state) {
	enum { SIZE = 64 << 20 };
	struct process_counters before = look();
	(void)state;
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	struct process_counters mapped = look();
	assert_true(mapped.virtual_bytes >= before.virtual_bytes + SIZE);
	assert_true(mapped.resident_bytes < before.resident_bytes + SIZE / 2);
	for (size_t i = 0; i < SIZE; i += 4096)
		memory[i] = 1;
	assert_true(look().resident_bytes >= before.resident_bytes + SIZE / 2);
	munmap(memory, SIZE);
}

/* The name is the second field of /proc/self/stat, and may contain any byte. */
static void a_strange_name_of_the_program_does_not_shift_the_fields(void **state) {
	char name[16];
	(void)state;
	struct process_counters before = look();
	uint64_t start = process_start_ms();
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b) 2 3"), 0);
	struct process_counters after = look();
	uint64_t again = process_start_ms();
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	assert_true(after.virtual_bytes > before.virtual_bytes / 2 && after.virtual_bytes < before.virtual_bytes * 2);
	assert_in_range(again, start - 2000, start + 2000);
}

static void started_before_now_and_not_long_ago(void **state) {
	uint64_t now = (uint64_t)clock_realtime_ms(), start = process_start_ms();
	(void)state;
	/* The kernel rounds to its tick. */
	assert_true(start <= now + 100);
	assert_true(start + 600000 > now);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_figure_is_known),
		cmocka_unit_test(counts_open_descriptors),
		cmocka_unit_test(tells_the_limit_on_descriptors),
		cmocka_unit_test(memory_that_is_touched_is_resident),
		cmocka_unit_test(a_strange_name_of_the_program_does_not_shift_the_fields),
		cmocka_unit_test(started_before_now_and_not_long_ago),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
