#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomdb/util/fiber.h"
#include "harness.h"

static struct fiber_pool pool;

static int setup(void **state) {
	(void)state;
	fiber_pool_init(&pool);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	fiber_pool_deinit(&pool);
	return 0;
}

struct steps {
	unsigned count; /* check points */
	unsigned passed;
	bool stops; /* at a check point that returns true */
	bool stopped;
};

static void run_steps(void *context) {
	struct steps *s = context;
	for (unsigned i = 0; i < s->count; i++) {
		s->passed++;
		if (fiber_check() && s->stops) {
			s->stopped = true;
			return;
		}
	}
}

static void a_fiber_with_time_runs_to_its_end(void **state) {
	(void)state;
	struct steps s = {.count = 1000};
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_steps, &s);
	assert_true(fiber_resume(f, UINT64_MAX / 2));
	assert_int_equal(s.passed, 1000);
	assert_int_equal(f->slices, 1);
	assert_null(fiber_current);
	fiber_put(&pool, f);
}

static void a_fiber_without_time_yields_at_every_check_point(void **state) {
	(void)state;
	struct steps s = {.count = 1000};
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_steps, &s);
	for (unsigned i = 1; i <= 1000; i++) {
		assert_false(fiber_resume(f, 0));
		assert_int_equal(s.passed, i);
	}
	assert_true(fiber_resume(f, 0));
	assert_int_equal(f->slices, 1001);
	fiber_put(&pool, f);
}

static void a_check_point_outside_of_a_fiber_does_nothing(void **state) {
	(void)state;
	assert_false(fiber_check());
}

static void a_cancelled_fiber_learns_of_it_at_its_next_check_point(void **state) {
	(void)state;
	struct steps s = {.count = 1000, .stops = true};
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_steps, &s);
	assert_false(fiber_resume(f, 0));
	f->cancelled = true;
	assert_true(fiber_resume(f, 0));
	assert_true(s.stopped);
	assert_int_equal(s.passed, 1);
	fiber_put(&pool, f);
}

/* Recursion that holds state in registers, on the stack and in floating point. */
static double mix(unsigned depth, double x, unsigned seed) {
	volatile char frame[200];
	memset((void *)frame, (int)(seed + depth), sizeof(frame));
	unsigned a = seed * 3 + depth, b = seed ^ (depth << 3), c = a + b, d = a * b;
	(void)fiber_check();
	double below = depth == 0 ? x : mix(depth - 1, x * 1.25 + depth, seed);
	(void)fiber_check();
	for (unsigned i = 0; i < sizeof(frame); i++)
		if (frame[i] != (char)(seed + depth))
			return -1;
	return below + a + b + c + d + x;
}

struct mixing {
	unsigned seed;
	double result;
};

static void run_mix(void *context) {
	struct mixing *m = context;
	m->result = mix(100, m->seed, m->seed);
}

static void interleaved_fibers_keep_their_registers_and_stacks(void **state) {
	(void)state;
	enum { FIBERS = 40 };
	struct fiber *f[FIBERS];
	struct mixing m[FIBERS];
	unsigned done = 0;
	for (unsigned i = 0; i < FIBERS; i++) {
		m[i].seed = i;
		f[i] = fiber_take(&pool);
		fiber_start(f[i], run_mix, &m[i]);
	}
	while (done < FIBERS) {
		for (unsigned i = 0; i < FIBERS; i++)
			if (!f[i]->done && fiber_resume(f[i], 0))
				done++;
	}
	for (unsigned i = 0; i < FIBERS; i++) {
		assert_true(m[i].result == mix(100, i, i));
		fiber_put(&pool, f[i]);
	}
}

static void a_pool_keeps_some_fibers_and_gives_them_out_again(void **state) {
	(void)state;
	struct fiber *f[FIBER_POOL_KEPT + 5];
	struct steps s = {.count = 1};
	for (unsigned i = 0; i < FIBER_POOL_KEPT + 5; i++) {
		f[i] = fiber_take(&pool);
		fiber_start(f[i], run_steps, &s);
		while (!fiber_resume(f[i], 0)) {
		}
	}
	for (unsigned i = 0; i < FIBER_POOL_KEPT + 5; i++)
		fiber_put(&pool, f[i]);
	assert_int_equal(pool.count, FIBER_POOL_KEPT);
	struct fiber *again = fiber_take(&pool);
	assert_ptr_equal(again, f[FIBER_POOL_KEPT - 1]);
	s.passed = 0;
	fiber_start(again, run_steps, &s);
	assert_false(again->cancelled);
	assert_true(fiber_resume(again, UINT64_MAX / 2));
	assert_int_equal(s.passed, 1);
	fiber_put(&pool, again);
}

static void a_fiber_in_the_middle_of_its_run_can_be_dropped(void **state) {
	(void)state;
	struct steps s = {.count = 10};
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_steps, &s);
	assert_false(fiber_resume(f, 0));
	fiber_put(&pool, f);
	assert_int_equal(pool.count, 0);
}

static void time_away_is_counted(void **state) {
	(void)state;
	struct steps s = {.count = 2};
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_steps, &s);
	assert_false(fiber_resume(f, 0));
	uint64_t before = f->away, at = clock_ticks();
	usleep(1000);
	uint64_t least = clock_ticks() - at;
	assert_false(fiber_resume(f, 0));
	assert_true(f->away - before >= least);
	assert_true(fiber_resume(f, 0));
	fiber_put(&pool, f);
}

/* The exit of a child process that runs it; its messages are dropped. */
static int fate_of(void (*run)(void)) {
	pid_t pid = fork();
	if (pid == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		run();
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void yield_in_forbidden(void *context) {
	(void)context;
	fiber_forbidden++;
	(void)fiber_check();
}

static void run_forbidden(void) {
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, yield_in_forbidden, NULL);
	(void)fiber_resume(f, 0);
}

static void a_suspension_in_a_forbidden_section_is_an_assertion_failure(void **state) {
	(void)state;
	int status = fate_of(run_forbidden);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Writes each frame, from the outermost on. */
static unsigned overflow(unsigned n, volatile char *above) {
	volatile char frame[4000];
	frame[0] = (char)(above == NULL ? 1 : above[0] + 1);
	return n == 0 ? (unsigned)frame[0] : overflow(n - 1, frame) + (unsigned)frame[0];
}

static void run_deep(void *context) {
	*(unsigned *)context = overflow(1000, NULL);
}

static void run_overflow(void) {
	unsigned sum;
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_deep, &sum);
	(void)fiber_resume(f, 0);
}

static void an_overflow_of_the_stack_hits_the_guard_page(void **state) {
	(void)state;
	assert_int_not_equal(fate_of(run_overflow), 0);
}

/* Of the written byte, from the lower end of the stack. */
static long offset;

static void write_byte(void *fiber) {
	const struct fiber *f = fiber;
	*(volatile char *)(f->mapping + ((long)f->guard + offset)) = 1;
}

static void run_write(void) {
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, write_byte, f);
	(void)fiber_resume(f, 0);
}

static void only_the_stack_itself_can_be_written(void **state) {
	(void)state;
	offset = 0;
	assert_int_equal(fate_of(run_write), 0);
	offset = -1;
	assert_int_not_equal(fate_of(run_write), 0);
}

/* Recursion over most of the stack, with a check point at its end. */
static unsigned dive(unsigned n) {
	volatile char frame[4000];
	memset((void *)frame, (int)n, sizeof(frame));
	if (n == 0)
		(void)fiber_check();
	return (n == 0 ? 0 : dive(n - 1)) + (unsigned)frame[n % sizeof(frame)];
}

static void run_dive(void *context) {
	*(unsigned *)context = dive(60);
}

static size_t resident_bytes(const struct fiber *f) {
	static unsigned char pages[FIBER_STACK / 4096];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), resident = 0;
	assert_int_equal(mincore(f->mapping + f->guard, FIBER_STACK, pages), 0);
	for (size_t i = 0; i < FIBER_STACK / page; i++)
		resident += pages[i] & 1 ? page : 0;
	return resident;
}

static void a_deep_run_gives_its_memory_back(void **state) {
	unsigned sum;
	(void)state;
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_dive, &sum);
	assert_false(fiber_resume(f, 0));
	assert_true(resident_bytes(f) > 200000);
	assert_true(fiber_resume(f, 0));
	fiber_put(&pool, f);
	assert_int_equal(pool.count, 1);
	assert_true(resident_bytes(f) <= 64 << 10);
	/* The stack can be used again. */
	assert_ptr_equal(fiber_take(&pool), f);
	fiber_start(f, run_dive, &sum);
	assert_false(fiber_resume(f, 0));
	assert_true(fiber_resume(f, 0));
	fiber_put(&pool, f);
}

/* --- work in pieces ---------------------------------------------------------------------------------------------- */

enum { BYTES = 1 << 20, UP = 5 };

static char *moved, *copied;

static void run_pieces(void *context) {
	(void)context;
	fiber_fill(moved, 'x', BYTES);
	for (size_t i = 0; i < BYTES; i++)
		moved[i] = (char)(i * 2654435761u >> 13);
	fiber_copy(copied, moved, BYTES);
	fiber_move_up(moved, BYTES, UP);
}

/* A reply of many elements moves up for the header of its array. */
static void large_blocks_are_filled_copied_and_moved_in_slices(void **state) {
	(void)state;
	moved = malloc(BYTES + UP);
	copied = malloc(BYTES);
	assert_true(moved != NULL && copied != NULL);
	struct fiber *f = fiber_take(&pool);
	fiber_start(f, run_pieces, NULL);
	while (!fiber_resume(f, 0)) {
	}
	/* A piece of 64 KiB takes some tens of microseconds. */
	assert_in_range(f->slices, 3 * (BYTES / 65536 - 1), 3 * (BYTES / 4096));
	assert_memory_equal(moved + UP, copied, BYTES);
	fiber_put(&pool, f);
	free(moved);
	free(copied);
}

static void *run_in_thread(void *context) {
	struct fiber_pool own;
	struct steps s = {.count = 100};
	(void)context;
	fiber_pool_init(&own);
	struct fiber *f = fiber_take(&own);
	fiber_start(f, run_steps, &s);
	while (!fiber_resume(f, 0)) {
	}
	fiber_put(&own, f);
	fiber_pool_deinit(&own);
	return (void *)(uintptr_t)s.passed;
}

static void each_thread_has_fibers_of_its_own(void **state) {
	(void)state;
	pthread_t threads[4];
	void *passed;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_in_thread, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &passed), 0);
		assert_int_equal((uintptr_t)passed, 100);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fiber_with_time_runs_to_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fiber_without_time_yields_at_every_check_point, setup, teardown),
		cmocka_unit_test_setup_teardown(a_check_point_outside_of_a_fiber_does_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_fiber_learns_of_it_at_its_next_check_point, setup,
						teardown),
		cmocka_unit_test_setup_teardown(interleaved_fibers_keep_their_registers_and_stacks, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pool_keeps_some_fibers_and_gives_them_out_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fiber_in_the_middle_of_its_run_can_be_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(time_away_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_suspension_in_a_forbidden_section_is_an_assertion_failure, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_overflow_of_the_stack_hits_the_guard_page, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_stack_itself_can_be_written, setup, teardown),
		cmocka_unit_test_setup_teardown(a_deep_run_gives_its_memory_back, setup, teardown),
		cmocka_unit_test_setup_teardown(large_blocks_are_filled_copied_and_moved_in_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(each_thread_has_fibers_of_its_own, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
