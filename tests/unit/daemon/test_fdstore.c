/* systemd's file descriptor store. A datagram socket acts as systemd. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/fdstore.h"
#include "harness.h"

struct manager {
	int socket;
	char path[64];
	bool keeps; /* keeps the files that it is given */
	pthread_t thread;
	char text[4096]; /* all messages, a line each */
	int kept;        /* the last file, or -1 */
};

/* Takes one message. Returns false at the end. */
static bool take(struct manager *m) {
	union {
		char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char text[512];
	struct iovec data = {text, sizeof(text) - 1};
	struct msghdr h = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(m->socket, &h, 0);
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (strcmp(text, "END") == 0)
		return false;
	size_t len = strlen(m->text);
	snprintf(m->text + len, sizeof(m->text) - len, "%s\n", text);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c)) {
		int fd;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (!m->keeps || strncmp(text, "FDSTORE=1", 9) != 0) {
			/* Closing the pipe of a barrier lets it end. */
			close(fd);
			continue;
		}
		if (m->kept >= 0)
			close(m->kept);
		m->kept = fd;
	}
	return true;
}

static void *run(void *context) {
	while (take(context))
		;
	return NULL;
}

static struct manager *manager_start(bool keeps) {
	struct manager *m = calloc(1, sizeof(*m));
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	assert_non_null(m);
	m->keeps = keeps;
	m->kept = -1;
	snprintf(m->path, sizeof(m->path), "/tmp/atomdb-notify-%d", (int)getpid());
	unlink(m->path);
	memcpy(at.sun_path, m->path, sizeof(m->path));
	m->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(m->socket, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", m->path, 1);
	assert_int_equal(pthread_create(&m->thread, NULL, run, m), 0);
	return m;
}

/* Ends the thread: m->text is complete. */
static void manager_stop(struct manager *m) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	memcpy(at.sun_path, m->path, sizeof(m->path));
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "END", 3, 0, (struct sockaddr *)&at, sizeof(at)), 3);
	close(fd);
	pthread_join(m->thread, NULL);
}

static void manager_free(struct manager *m) {
	if (m->kept >= 0)
		close(m->kept);
	close(m->socket);
	unlink(m->path);
	unsetenv("NOTIFY_SOCKET");
	free(m);
}

static void without_systemd_there_is_no_store(void **state) {
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_false(fdstore_works());
	assert_int_equal(fdstore_put("name", 0), -ENOENT);
	assert_int_equal(fdstore_settle(), -ENOENT);
}

static void a_file_is_given_under_its_name(void **state) {
	struct manager *m = manager_start(true);
	int ends[2];
	char byte = 0;
	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fdstore_put("atomdb-test", ends[1]), 0);
	fdstore_remove("atomdb-old");
	assert_int_equal(fdstore_settle(), 0);
	manager_stop(m);
	assert_non_null(strstr(m->text, "FDSTORE=1\nFDPOLL=0\nFDNAME=atomdb-test\n"));
	assert_non_null(strstr(m->text, "FDSTOREREMOVE=1\nFDNAME=atomdb-old\n"));
	assert_true(m->kept >= 0);
	assert_int_equal(write(m->kept, "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	close(ends[1]);
	manager_free(m);
}

static void a_store_works_only_if_it_keeps_files(void **state) {
	(void)state;
	for (int keeps = 0; keeps < 2; keeps++) {
		struct manager *m = manager_start(keeps);
		assert_int_equal(fdstore_works(), keeps);
		manager_stop(m);
		/* The pipe of the question is removed from the store. */
		assert_non_null(strstr(m->text, "FDSTOREREMOVE=1\nFDNAME=atomdb-question\n"));
		manager_free(m);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_systemd_there_is_no_store),
		cmocka_unit_test(a_file_is_given_under_its_name),
		cmocka_unit_test(a_store_works_only_if_it_keeps_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
