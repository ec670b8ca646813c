#include "daemon/fd_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	char bytes[CMSG_SPACE(FD_QUEUE_BATCH * sizeof(int))];
	struct cmsghdr align;
};

/* A message takes some kilobytes of the buffer. The kernel doubles the size, up to its own limit. */
#define QUEUE_BYTES (1 << 20)

static int send_batch(int fd, const int *files, size_t count) {
	union control control;
	char mark = 'f';
	struct iovec data = {&mark, 1};
	memset(&control, 0, sizeof(control));
	struct msghdr m = {.msg_iov = &data,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), files, count * sizeof(int));
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int fd_queue_load(const int *files, size_t count) {
	int ends[2], size = QUEUE_BYTES, error = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (size_t at = 0; at < count && error == 0; at += FD_QUEUE_BATCH)
		error = send_batch(ends[1], files + at, count - at < FD_QUEUE_BATCH ? count - at : FD_QUEUE_BATCH);
	close(ends[1]);
	if (error == 0)
		return ends[0];
	close(ends[0]);
	return error;
}

int fd_queue_take(int fd_queue, int files[FD_QUEUE_BATCH]) {
	union control control;
	char mark;
	struct iovec data = {&mark, 1};
	struct msghdr m = {.msg_iov = &data,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd_queue, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	size_t count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = c->cmsg_len - CMSG_LEN(0);
		memcpy(files + count, CMSG_DATA(c), bytes);
		count += bytes / sizeof(int);
	}
	/* The kernel drops files of a message if there is no room for their descriptors. */
	if (!(m.msg_flags & MSG_CTRUNC))
		return (int)count;
	while (count > 0)
		close(files[--count]);
	return -EMFILE;
}
