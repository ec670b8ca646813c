#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomdb/util/error.h"
#include "daemon/fd_queue.h"
#include "daemon/handover.h"
#include "harness.h"

static struct buffer none;

static struct buffer written(void) {
	struct buffer b;
	buffer_init(&b);
	struct serializer out = {.out = &b};
	handover_begin(&out);
	serialize_bytes(&out, "left", SLICE("state"));
	handover_end(&out);
	assert_int_equal(out.error, 0);
	return b;
}

static void opens_what_was_written(void **state) {
	(void)state;
	struct buffer b = written();
	struct slice record;
	assert_int_equal(handover_open(buffer_slice(&b), &none, &record), 0);
	assert_true(slice_equal(record, SLICE("\4left\5\0\0\0\0\0\0\0state")));
	buffer_deinit(&b);
}

static void refuses_another_version(void **state) {
	(void)state;
	struct buffer b = written();
	struct slice record;
	b.data[8]++;
	assert_int_equal(handover_open(buffer_slice(&b), &none, &record), ATOMDB_E_VERSION);
	b.data[0]++;
	assert_int_equal(handover_open(buffer_slice(&b), &none, &record), ATOMDB_E_FORMAT);
	buffer_deinit(&b);
}

static void refuses_what_is_damaged_or_cut(void **state) {
	(void)state;
	struct buffer b = written();
	struct slice record;
	for (size_t i = 0; i < b.len; i++) {
		assert_true(handover_open((struct slice){b.data, i}, &none, &record) < 0);
		b.data[i] ^= 4;
		assert_true(handover_open(buffer_slice(&b), &none, &record) < 0);
		b.data[i] ^= 4;
	}
	assert_int_equal(handover_open(buffer_slice(&b), &none, &record), 0);
	buffer_deinit(&b);
}

/* Inodes identify the files. */
static void an_fd_queue_brings_files_in_order(void **state) {
	enum { FILES = 2 * FD_QUEUE_BATCH + 5 };
	(void)state;
	int files[FILES], batch[FD_QUEUE_BATCH];
	struct stat was[FILES], is;
	for (int i = 0; i < FILES; i++) {
		files[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(files[i] >= 0);
		assert_int_equal(fstat(files[i], &was[i]), 0);
	}
	int fd_queue = fd_queue_load(files, FILES);
	assert_true(fd_queue >= 0);
	for (int i = 0; i < FILES; i++)
		close(files[i]);
	int seen = 0, n;
	while ((n = fd_queue_take(fd_queue, batch)) > 0) {
		for (int i = 0; i < n; i++, seen++) {
			assert_true(seen < FILES);
			assert_int_equal(fstat(batch[i], &is), 0);
			assert_int_equal(is.st_ino, was[seen].st_ino);
			assert_true(fcntl(batch[i], F_GETFD) & FD_CLOEXEC);
			close(batch[i]);
		}
	}
	assert_int_equal(n, 0);
	assert_int_equal(seen, FILES);
	close(fd_queue);
}

static void an_fd_queue_may_be_empty_or_no_socket(void **state) {
	(void)state;
	int batch[FD_QUEUE_BATCH];
	int fd_queue = fd_queue_load(NULL, 0);
	assert_true(fd_queue >= 0);
	assert_int_equal(fd_queue_take(fd_queue, batch), 0);
	close(fd_queue);
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fd_queue_take(ends[0], batch), -ENOTSOCK);
	close(ends[0]);
	close(ends[1]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_was_written),
		cmocka_unit_test(refuses_another_version),
		cmocka_unit_test(refuses_what_is_damaged_or_cut),
		cmocka_unit_test(an_fd_queue_brings_files_in_order),
		cmocka_unit_test(an_fd_queue_may_be_empty_or_no_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
