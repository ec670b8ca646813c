/* The floor: an epoll server that answers every command with a fixed reply and stores nothing. It measures the cost of
 * the kernel. The report shows other servers as multiples of it.
 *
 * One thread, level-triggered epoll, one read and one write for each ready connection. It reads only the headers of a
 * command and the first letter of its name. Replies have the type and size of those of a real server, so that the
 * traffic is the same. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_SIZE     (64u << 10)
#define LINE_MAX_BYTES 24u /* "*" or "$", a number, CR */
#define VALUE_MAX      (1u << 20)
#define ARGUMENTS_MAX  (1u << 20)
#define BULK_MAX       (512u << 20)

struct client {
	int fd;
	bool stalled;       /* output is waiting: do not read until it is sent */
	bool first;         /* the next argument is the command's name */
	uint32_t arguments; /* missing arguments of this command */
	uint32_t skip;      /* missing bytes of an argument and its CR LF */
	char verb;
	uint8_t line_size;
	char line[LINE_MAX_BYTES]; /* an incomplete header at the end of the input */
	char *rest;                /* owned: output that the socket did not accept */
	size_t rest_size, rest_sent;
};

struct floor {
	int epoll_fd;
	int listen_fd;
	char *value_reply; /* owned: the reply to GET */
	size_t value_reply_size;
	char *output; /* owned; grows to the largest batch */
	size_t output_size, output_capacity;
	char input[INPUT_SIZE];
};

static int output_add(struct floor *f, const char *bytes, size_t size) {
	if (size > f->output_capacity - f->output_size) {
		size_t capacity = (f->output_capacity + size) * 2;
		char *grown = realloc(f->output, capacity);

		if (!grown)
			return -ENOMEM;
		f->output = grown;
		f->output_capacity = capacity;
	}
	memcpy(f->output + f->output_size, bytes, size);
	f->output_size += size;
	return 0;
}

static int answer(struct floor *f, char verb) {
	switch (verb | 0x20) {
	case 'g':
		return output_add(f, f->value_reply, f->value_reply_size);
	case 'i':
	case 'd':
		return output_add(f, ":0\r\n", 4);
	default:
		return output_add(f, "+OK\r\n", 5);
	}
}

/* Takes a header without its LF: "*3\r" or "$5\r". */
static int take_header(struct client *c, const char *line, size_t size) {
	uint32_t number = 0;

	if (size < 3 || line[size - 1] != '\r' || (line[0] != '*' && line[0] != '$'))
		return -EPROTO;
	for (size_t i = 1; i < size - 1; i++) {
		if (line[i] < '0' || line[i] > '9' || number > BULK_MAX)
			return -EPROTO;
		number = number * 10 + (uint32_t)(line[i] - '0');
	}
	if (line[0] == '*') {
		if (c->arguments || number == 0 || number > ARGUMENTS_MAX)
			return -EPROTO;
		c->arguments = number;
		c->first = true;
		return 0;
	}
	if (!c->arguments || number > BULK_MAX)
		return -EPROTO;
	c->skip = number + 2;
	return 0;
}

/* Skips as much of an argument as has arrived. */
static int take_argument(struct floor *f, struct client *c, const char *at, size_t size, size_t *taken) {
	*taken = size < c->skip ? size : c->skip;
	if (c->first) {
		c->verb = *at;
		c->first = false;
	}
	c->skip -= (uint32_t)*taken;
	if (c->skip || --c->arguments)
		return 0;
	return answer(f, c->verb);
}

static int take_line(struct client *c, const char *at, size_t size, size_t *taken) {
	size_t look = size < LINE_MAX_BYTES ? size : LINE_MAX_BYTES;
	const char *end = memchr(at, '\n', look);
	size_t length = end ? (size_t)(end - at) : look;
	int r;

	*taken = end ? length + 1 : length;
	if (end && c->line_size == 0)
		return take_header(c, at, length);
	if (length >= LINE_MAX_BYTES - c->line_size)
		return -EPROTO;
	memcpy(c->line + c->line_size, at, length);
	c->line_size = (uint8_t)(c->line_size + length);
	if (!end)
		return 0;
	r = take_header(c, c->line, c->line_size);
	c->line_size = 0;
	return r;
}

static int skim(struct floor *f, struct client *c, const char *at, size_t size) {
	while (size > 0) {
		size_t taken;
		int r = c->skip ? take_argument(f, c, at, size, &taken) : take_line(c, at, size, &taken);

		if (r < 0)
			return r;
		at += taken;
		size -= taken;
	}
	return 0;
}

static void client_close(struct client *c) {
	close(c->fd);
	free(c->rest);
	free(c);
}

static int client_watch(struct floor *f, struct client *c, int op) {
	struct epoll_event e = {.events = c->stalled ? EPOLLOUT : EPOLLIN, .data.ptr = c};

	return epoll_ctl(f->epoll_fd, op, c->fd, &e) < 0 ? -errno : 0;
}

/* Sends the batch. Keeps the output that the socket does not accept, and stops reading until it is sent. */
static int flush(struct floor *f, struct client *c) {
	ssize_t n = send(c->fd, f->output, f->output_size, MSG_NOSIGNAL);
	size_t sent = n < 0 ? 0 : (size_t)n;

	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (sent == f->output_size)
		return 0;
	c->rest_size = f->output_size - sent;
	c->rest_sent = 0;
	c->rest = malloc(c->rest_size);
	if (!c->rest)
		return -ENOMEM;
	memcpy(c->rest, f->output + sent, c->rest_size);
	c->stalled = true;
	return client_watch(f, c, EPOLL_CTL_MOD);
}

static int client_write(struct floor *f, struct client *c) {
	ssize_t n = send(c->fd, c->rest + c->rest_sent, c->rest_size - c->rest_sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	c->rest_sent += (size_t)n;
	if (c->rest_sent < c->rest_size)
		return 0;
	free(c->rest);
	c->rest = NULL;
	c->stalled = false;
	return client_watch(f, c, EPOLL_CTL_MOD);
}

static int client_read(struct floor *f, struct client *c) {
	ssize_t n = recv(c->fd, f->input, sizeof(f->input), 0);
	int r;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	f->output_size = 0;
	r = skim(f, c, f->input, (size_t)n);
	if (r < 0)
		return r;
	return f->output_size ? flush(f, c) : 0;
}

static void accept_client(struct floor *f) {
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (client_watch(f, c, EPOLL_CTL_ADD) < 0)
		client_close(c);
}

static int serve(struct floor *f) {
	struct epoll_event events[128];

	for (;;) {
		int n = epoll_wait(f->epoll_fd, events, 128, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (!c)
				accept_client(f);
			else if ((c->stalled ? client_write(f, c) : client_read(f, c)) < 0)
				client_close(c);
		}
	}
}

static int floor_open(struct floor *f, uint16_t port, size_t value_size) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
	int header;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	f->output_capacity = INPUT_SIZE;
	f->output = malloc(f->output_capacity);
	f->value_reply = malloc(value_size + 32);
	if (f->listen_fd < 0 || f->epoll_fd < 0 || !f->output || !f->value_reply)
		return -ENOMEM;
	header = snprintf(f->value_reply, 32, "$%zu\r\n", value_size);
	memset(f->value_reply + header, 'v', value_size);
	memcpy(f->value_reply + (size_t)header + value_size, "\r\n", 2);
	f->value_reply_size = (size_t)header + value_size + 2;
	setsockopt(f->listen_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(f->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(f->listen_fd, 511) < 0 ||
	    epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->listen_fd, &e) < 0)
		return -errno;
	return 0;
}

int main(int argc, char **argv) {
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'}, {"value-size", required_argument, NULL, 'v'}, {0}};
	unsigned long port = 0, value_size = 64;
	struct floor *f;
	int option, r;

	while ((option = getopt_long(argc, argv, "p:v:", options, NULL)) >= 0) {
		if (option == 'p')
			port = strtoul(optarg, NULL, 10);
		else if (option == 'v')
			value_size = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (port == 0 || port > UINT16_MAX || value_size > VALUE_MAX || optind != argc) {
		fprintf(stderr, "usage: atomdb_bench_floor --port N [--value-size BYTES]\n");
		return 2;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return 1;
	r = floor_open(f, (uint16_t)port, value_size);
	if (r == 0)
		r = serve(f);
	fprintf(stderr, "atomdb_bench_floor: %s\n", strerror(-r));
	return 1;
}
