#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define REPLY_TIMEOUT_SECONDS 10

uint64_t now_ns(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t process_cpu_ns(pid_t pid) {
	char path[320];
	uint64_t sum = 0;
	struct dirent *entry;
	DIR *tasks;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return 0;
	while ((entry = readdir(tasks))) {
		uint64_t ns;
		FILE *f;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%" SCNu64, &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return sum;
}

static int dial(const struct options *o) {
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(o->port)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = REPLY_TIMEOUT_SECONDS};
	struct sockaddr *address = o->unix_path ? (struct sockaddr *)&un : (struct sockaddr *)&in;
	socklen_t size = o->unix_path ? sizeof(un) : sizeof(in);
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (o->unix_path)
		strncpy(un.sun_path, o->unix_path, sizeof(un.sun_path) - 1);
	else
		inet_pton(AF_INET, o->host, &in.sin_addr);
	if (connect(fd, address, size) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	if (!o->unix_path)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

/* Sends a request, waits for one reply, and counts it in `r`. */
static int round_trip(int fd, struct replies *r, const char *request, size_t size) {
	char input[4096];
	int64_t count = 0;

	if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
		return -EIO;
	while (count == 0) {
		ssize_t n = recv(fd, input, sizeof(input), 0);

		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		count = replies_count(r, input, (size_t)n);
	}
	return count < 0 ? (int)count : 0;
}

int connection_open(const struct options *o, unsigned number) {
	struct replies replies = {0};
	char secret[96], request[192];
	int fd = dial(o), r;

	if (fd < 0 || !o->auth)
		return fd;
	if (o->tenants > 1)
		snprintf(secret, sizeof(secret), "%.64s-%u", o->auth, number % o->tenants);
	else
		snprintf(secret, sizeof(secret), "%.64s", o->auth);
	snprintf(request, sizeof(request), "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n", strlen(secret), secret);
	r = round_trip(fd, &replies, request, strlen(request));
	if (r == 0 && replies.errors) {
		fprintf(stderr, "atomdb_bench_load: AUTH: %s\n", replies.error);
		r = -EACCES;
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

enum input { INPUT_NONE, INPUT_BYTE, INPUT_CLOSED };

/* Reads a byte of stdin, if there is one within `timeout_ms`. */
static enum input input_take(int timeout_ms) {
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char byte;

	if (poll(&p, 1, timeout_ms) <= 0)
		return INPUT_NONE;
	return read(STDIN_FILENO, &byte, 1) > 0 ? INPUT_BYTE : INPUT_CLOSED;
}

int idle_run(const struct options *o) {
	int *fds = calloc(o->clients, sizeof(*fds));
	unsigned opened = 0;
	int r = 0;

	if (!fds)
		return -ENOMEM;
	while (opened < o->clients && r >= 0) {
		r = connection_open(o, opened);
		if (r >= 0)
			fds[opened++] = r;
	}
	if (r >= 0) {
		printf("{\"opened\":%u}\n", opened);
		fflush(stdout);
		while (input_take(1000) != INPUT_CLOSED)
			continue;
	}
	while (opened > 0)
		close(fds[--opened]);
	free(fds);
	return r < 0 ? r : 0;
}

static void probe_print(const struct histogram *latency, const struct replies *replies) {
	printf("{\"ops\":%" PRIu64 ",\"errors\":%" PRIu64, latency->count, replies->errors);
	histogram_print(latency);
	printf("}\n");
	fflush(stdout);
}

/* A byte on stdin requests the figures since the last request. */
int probe_run(const struct options *o) {
	struct histogram *latency = calloc(1, sizeof(*latency));
	struct replies replies = {.memcached = o->memcached};
	uint64_t start = now_ns(), next = start;
	char *request = malloc(request_size_max(o));
	enum input input = INPUT_NONE;
	int fd = connection_open(o, 0), r = fd < 0 ? fd : 0;

	if (!latency || !request)
		r = -ENOMEM;
	while (r == 0 && (input = input_take(0)) != INPUT_CLOSED &&
	       (!o->duration_ms || next - start < o->duration_ms * 1000000)) {
		struct timespec at = {.tv_sec = (time_t)(next / 1000000000), .tv_nsec = (long)(next % 1000000000)};
		uint64_t began;

		if (input == INPUT_BYTE) {
			probe_print(latency, &replies);
			memset(latency, 0, sizeof(*latency));
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		began = now_ns();
		r = round_trip(fd, &replies, request, request_write(o, VERB_GET, latency->count % o->keys, request));
		histogram_add(latency, now_ns() - began);
		next = next + 1000000 > now_ns() ? next + 1000000 : now_ns();
	}
	if (r == 0)
		probe_print(latency, &replies);
	if (fd >= 0)
		close(fd);
	free(request);
	free(latency);
	return r;
}
