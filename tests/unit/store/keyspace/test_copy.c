#include <stdlib.h>

#include "atomdb/util/fiber.h"
#include "harness.h"
#include "store/keyspace/copy.h"

#define LENGTH (4 * COPY_PIECE + 100)

struct job {
	char *to, *from;
};

static void run_copy(void *context) {
	struct job *job = context;
	copy_bytes(job->to, job->from, LENGTH);
}

static void run_zeros(void *context) {
	struct job *job = context;
	copy_zeros(job->to, LENGTH);
}

/* Runs a function on a fiber that yields at each check point. Returns its slices. */
static uint64_t run(void (*function)(void *context), struct job *job) {
	struct fiber_pool pool;
	fiber_pool_init(&pool);
	struct fiber *f = fiber_take(&pool);
	assert_non_null(f);
	fiber_start(f, function, job);
	while (!fiber_resume(f, 0)) {
	}
	uint64_t slices = f->slices;
	fiber_put(&pool, f);
	fiber_pool_deinit(&pool);
	return slices;
}

static void test_a_long_copy_has_a_check_point_for_each_piece(void **state) {
	(void)state;
	struct job job = {calloc(1, LENGTH + 1), malloc(LENGTH)};
	for (size_t i = 0; i < LENGTH; i++)
		job.from[i] = (char)(i * 31 >> 3);
	assert_in_range(run(run_copy, &job), 5, 6);
	assert_memory_equal(job.to, job.from, LENGTH);
	job.to[LENGTH] = 'x';
	assert_in_range(run(run_zeros, &job), 5, 6);
	for (size_t i = 0; i < LENGTH; i++)
		assert_int_equal(job.to[i], 0);
	assert_int_equal(job.to[LENGTH], 'x');
	free(job.to);
	free(job.from);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_copy_has_a_check_point_for_each_piece),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
