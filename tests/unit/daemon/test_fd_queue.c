/* Files in the queue of a socket. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/fd_queue.h"
#include "harness.h"

enum { FILES = 2 * FD_QUEUE_BATCH + 5 };

static ino_t inode_of(int fd) {
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static unsigned count_open(void) {
	unsigned count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Distinguishable files: ends of pipes. */
static void make_files(int files[FILES]) {
	for (int i = 0; i < FILES; i++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		files[i] = ends[0];
		close(ends[1]);
	}
}

static void every_file_comes_out_in_order(void **state) {
	int files[FILES], taken[FD_QUEUE_BATCH];
	unsigned before = count_open();
	(void)state;
	make_files(files);
	int queue = fd_queue_load(files, FILES);
	assert_true(queue >= 0);
	int at = 0;
	for (int n; (n = fd_queue_take(queue, taken)) != 0;) {
		assert_true(n > 0);
		for (int i = 0; i < n; i++, at++) {
			assert_true(at < FILES);
			assert_int_equal(inode_of(taken[i]), inode_of(files[at]));
			assert_true(fcntl(taken[i], F_GETFD) & FD_CLOEXEC);
			close(taken[i]);
		}
	}
	assert_int_equal(at, FILES);
	assert_int_equal(fd_queue_take(queue, taken), 0);
	close(queue);
	for (int i = 0; i < FILES; i++)
		close(files[i]);
	assert_int_equal(count_open(), before);
}

static void files_that_stay_in_the_queue_end_with_it(void **state) {
	int ends[2];
	char byte;
	(void)state;
	assert_int_equal(pipe(ends), 0);
	int queue = fd_queue_load(&ends[1], 1);
	assert_true(queue >= 0);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	/* The queue still holds the other end. */
	assert_int_equal(read(ends[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(queue);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

static void an_empty_queue_has_an_end(void **state) {
	int taken[FD_QUEUE_BATCH];
	(void)state;
	int queue = fd_queue_load(NULL, 0);
	assert_true(queue >= 0);
	assert_int_equal(fd_queue_take(queue, taken), 0);
	close(queue);
}

static void a_file_that_is_not_open_is_an_error(void **state) {
	unsigned before = count_open();
	int files[2] = {0, 4000};
	(void)state;
	assert_int_equal(fd_queue_load(files, 2), -EBADF);
	assert_int_equal(count_open(), before);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_comes_out_in_order),
		cmocka_unit_test(files_that_stay_in_the_queue_end_with_it),
		cmocka_unit_test(an_empty_queue_has_an_end),
		cmocka_unit_test(a_file_that_is_not_open_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
