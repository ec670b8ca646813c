#include "atomdb/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "atomdb/util/error.h"
#include "atomdb/util/number.h"

struct listener {
	int fd; /* owned */
	uint16_t port;
	bool made; /* this listener created the file at `path` */
	dev_t device;
	ino_t inode;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char address[160];
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
	struct sockaddr_storage storage;
};

/* Reads "host:port" into `host` (without brackets) and `port`. */
static int split_host(const char *text, char *host, size_t host_size, uint16_t *port) {
	const char *colon = strrchr(text, ':');
	int64_t number;
	if (colon == NULL || !number_parse(slice_of(colon + 1), &number) || number < 0 || number > UINT16_MAX)
		return ATOMDB_E_SYNTAX;
	size_t len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 2 || text[len - 1] != ']')
			return ATOMDB_E_SYNTAX;
		text++;
		len -= 2;
	}
	if (len == 0 || len >= host_size)
		return ATOMDB_E_SYNTAX;
	memcpy(host, text, len);
	host[len] = '\0';
	*port = (uint16_t)number;
	return 0;
}

static int parse_address(const char *text, union address *out, socklen_t *size) {
	memset(out, 0, sizeof(*out));
	if (strncmp(text, "unix:", 5) == 0) {
		const char *path = text + 5;
		size_t len = strlen(path);
		if (len == 0 || path[0] != '/' || len >= sizeof(out->local.sun_path))
			return ATOMDB_E_SYNTAX;
		out->local.sun_family = AF_UNIX;
		memcpy(out->local.sun_path, path, len + 1);
		*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
		return 0;
	}
	char host[INET6_ADDRSTRLEN];
	uint16_t port;
	int r = split_host(text, host, sizeof(host), &port);
	if (r < 0)
		return r;
	if (text[0] == '[') {
		if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1)
			return ATOMDB_E_SYNTAX;
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(port);
		*size = sizeof(out->v6);
	} else {
		if (inet_pton(AF_INET, host, &out->v4.sin_addr) != 1)
			return ATOMDB_E_SYNTAX;
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		*size = sizeof(out->v4);
	}
	return 0;
}

/* Writes an address in the form of messages. Returns 0 or -EAFNOSUPPORT. */
static int format_address(const union address *from, char *out, size_t size) {
	char host[INET6_ADDRSTRLEN];
	switch (from->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &from->v4.sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(from->v4.sin_port));
		return 0;
	case AF_INET6:
		inet_ntop(AF_INET6, &from->v6.sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(from->v6.sin6_port));
		return 0;
	case AF_UNIX:
		snprintf(out, size, "unix:%.*s", (int)sizeof(from->local.sun_path), from->local.sun_path);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

/* Fills in the address of the bound socket. */
static int describe(struct listener *l) {
	union address bound;
	memset(&bound, 0, sizeof(bound));
	socklen_t size = sizeof(bound);
	if (getsockname(l->fd, &bound.any, &size) < 0)
		return -errno;
	if (bound.any.sa_family == AF_INET)
		l->port = ntohs(bound.v4.sin_port);
	else if (bound.any.sa_family == AF_INET6)
		l->port = ntohs(bound.v6.sin6_port);
	return format_address(&bound, l->address, sizeof(l->address));
}

/* Removes the socket file of a server that has ended, and no other file. */
static int remove_dead(const struct sockaddr_un *local, socklen_t size) {
	struct stat st;
	if (lstat(local->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = connect(fd, (const struct sockaddr *)local, size) < 0 ? -errno : 0;
	close(fd);
	if (r != -ECONNREFUSED)
		return r == -ENOENT ? 0 : -EADDRINUSE;
	return unlink(local->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Creates the file of the socket with its mode. No client can connect before listen(2), so that the group may be set
 * afterwards. */
static int bind_local(struct listener *l, const struct sockaddr_un *local, socklen_t size,
		      const struct listener_access *access) {
	struct stat st;
	mode_t before = umask(~access->mode & 0777);
	int r = bind(l->fd, (const struct sockaddr *)local, size) < 0 ? -errno : 0;
	umask(before);
	if (r < 0)
		return r;
	snprintf(l->path, sizeof(l->path), "%s", local->sun_path);
	l->made = true;
	if (lstat(l->path, &st) < 0)
		return -errno;
	l->device = st.st_dev;
	l->inode = st.st_ino;
	if (access->group != LISTENER_OWN_GROUP && lchown(l->path, (uid_t)-1, access->group) < 0)
		return -errno;
	return 0;
}

static int bind_and_listen(struct listener *l, const union address *to, socklen_t size,
			   const struct listener_access *access) {
	int on = 1;
	bool local = to->any.sa_family == AF_UNIX;
	l->fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	if (!local && setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (to->any.sa_family == AF_INET6 && setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	int r = local ? remove_dead(&to->local, size) : 0;
	if (r < 0)
		return r;
	if (local)
		r = bind_local(l, &to->local, size, access);
	else if (bind(l->fd, &to->any, size) < 0)
		r = -errno;
	if (r < 0)
		return r;
	return listen(l->fd, LISTENER_BACKLOG) < 0 ? -errno : describe(l);
}

int listener_open(struct listener **out, const char *address, const struct listener_access *access) {
	union address to;
	socklen_t size;
	int r = parse_address(address, &to, &size);
	if (r < 0)
		return r;
	struct listener *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->fd = -1;
	r = bind_and_listen(l, &to, size, access);
	if (r < 0) {
		listener_close(l);
		return r;
	}
	*out = l;
	return 0;
}

/* Returns whether a worker can accept from `fd`. */
static int check_listening(int fd) {
	int value = 0;
	socklen_t size = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) < 0)
		return -errno;
	if (value != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) < 0)
		return -errno;
	return value ? 0 : -EINVAL;
}

int listener_adopt(struct listener **out, int fd) {
	int r = check_listening(fd);
	if (r < 0)
		return r;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	struct listener *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->fd = fd;
	r = describe(l);
	if (r < 0) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void listener_refuse(struct listener *l) {
	shutdown(l->fd, SHUT_RDWR);
}

void listener_close(struct listener *l) {
	if (l == NULL)
		return;
	struct stat st;
	/* A later process may have replaced the socket file. */
	if (l->made && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
		unlink(l->path);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

int listener_fd(const struct listener *l) {
	return l->fd;
}

const char *listener_address(const struct listener *l) {
	return l->address;
}

bool listener_is_at(const struct listener *l, const char *address) {
	union address to;
	socklen_t size;
	char text[sizeof(l->address)];
	return parse_address(address, &to, &size) == 0 && format_address(&to, text, sizeof(text)) == 0 &&
	       strcmp(text, l->address) == 0;
}

uint16_t listener_port(const struct listener *l) {
	return l->port;
}

bool listener_is_local(const char *address) {
	union address to;
	socklen_t size;
	if (parse_address(address, &to, &size) < 0)
		return false;
	switch (to.any.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(to.v4.sin_addr.s_addr) >> 24 == 127;
	default:
		return IN6_IS_ADDR_LOOPBACK(&to.v6.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&to.v6.sin6_addr) && to.v6.sin6_addr.s6_addr[12] == 127);
	}
}
