/* The HTTP server on libmicrohttpd.
 *
 * AtomDB does not give libmicrohttpd the listening socket: at its limit of connections libmicrohttpd stops watching the
 * socket, and does not always start again. http_run() accepts the connections, passes them to libmicrohttpd, and
 * chooses the clients to close (http_clients.h). */
#include "atomdb/observe/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/util/number.h"
#include "observe/http_clients.h"
#include "observe/http_request.h"
#include "observe/http_resources.h"
#include "observe/http_response.h"

/* Connections that one http_run() accepts. Their requests are read before other connections can replace them. */
#define ACCEPT_BATCH 16
_Static_assert(HTTP_OPEN_MAX >= HTTP_IDLE_MAX + HTTP_ANSWERED_MAX + ACCEPT_BATCH, "there is room for a batch");
/* Time without accepting after a connection found no descriptor or memory. */
#define ACCEPT_PAUSE_NS (100 * (uint64_t)1000000)
/* Bytes for the head of a request, in which browsers send many; the head of the response uses the same memory. */
#define REQUEST_MAX ((size_t)16 << 10)
/* Most bytes of a request's body, which are read and discarded. */
#define BODY_MAX ((size_t)64 << 10)
/* Timeout in seconds of a client that reads nothing of its response. */
#define STALL_TIMEOUT 5u

struct http {
	struct MHD_Daemon *daemon; /* owned */
	int listen_fd;             /* the caller's */
	int epoll_fd;              /* owned: watches listen_fd and the daemon's epoll fd */
	uint64_t resume_ns;        /* when to accept again; 0: epoll watches listen_fd */
	const struct http_content *content;
	struct http_clients clients;
};

static int append(struct buffer *out, const char *body) {
	return buffer_append(out, body, strlen(body), SIZE_MAX);
}

/* The values of all headers of one name, joined (RFC 9110, section 5.3). */
struct joined {
	const char *name;
	struct buffer value;
};

static enum MHD_Result join(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
	struct joined *j = context;
	(void)kind;
	if (value == NULL || strcasecmp(name, j->name) != 0)
		return MHD_YES;
	int r = j->value.len > 0 ? append(&j->value, ",") : 0;
	return r == 0 && append(&j->value, value) == 0 ? MHD_YES : MHD_NO;
}

/* Returns the values of all headers of that name, joined, which the caller frees. NULL if there are none, or no memory.
 */
static char *join_headers(struct MHD_Connection *connection, const char *name) {
	struct joined j = {.name = name};
	buffer_init(&j.value);
	MHD_get_connection_values(connection, MHD_HEADER_KIND, join, &j);
	if (j.value.len > 0 && buffer_append(&j.value, "", 1, SIZE_MAX) == 0)
		return j.value.data;
	buffer_deinit(&j.value);
	return NULL;
}

/* Sends `body`, and takes over its bytes. */
static enum MHD_Result answer(struct http *h, struct MHD_Connection *connection, struct http_client *client,
			      unsigned status, const struct http_resource *resource, struct buffer *body) {
	bool page = resource != NULL && resource->page;
	char *accept_encoding = join_headers(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	const struct http_response r = {
		.status = status,
		.type = resource != NULL ? resource->type : "text/plain; charset=utf-8",
		.policy = page ? page_policy(h->content->page) : HTTP_CLOSED_POLICY,
		.coding = accept_encoding,
		/* An invalid head makes the end of the request uncertain. libmicrohttpd does not check trailers. */
		.last = status == MHD_HTTP_BAD_REQUEST ||
			MHD_get_connection_values(connection, MHD_FOOTER_KIND, NULL, NULL) > 0,
	};
	struct MHD_Response *response = http_response_new(&r, body);
	free(accept_encoding);
	if (response == NULL)
		return MHD_NO;
	http_clients_answer(&h->clients, client, body->len);
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

#define CLIENT_TEXT (INET6_ADDRSTRLEN + 16)

/* Writes the client's address in the form of the log. */
static void describe_client(struct MHD_Connection *connection, char *out, size_t size) {
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
	char host[INET6_ADDRSTRLEN];
	if (address != NULL && address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
	} else if (address != NULL && address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		snprintf(out, size, "unix");
	}
}

/* Returns whether the request is for an allowed host. Logs another one. */
static bool is_for_known_host(const struct http *h, struct MHD_Connection *connection, struct slice host) {
	const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	if (host.data == NULL && header != NULL)
		host = slice_of(header);
	/* Every browser sends it. */
	if (host.data == NULL || hosts_know(h->content->hosts, host))
		return true;
	char client[CLIENT_TEXT];
	describe_client(connection, client, sizeof(client));
	log_report(h->content->http_auth->events,
		   &(struct log_event){.id = LOG_EVENT_HTTP_HOST, .client = client, .bytes = host});
	return false;
}

/* Decides whether the client may see the resource. Sets `*tenants` if it may see tenants in it. `host` is the host of
 * the target, if any. Returns MHD_HTTP_OK or the status of the refusal. */
static int admit(const struct http *h, struct MHD_Connection *connection, const struct http_resource *resource,
		 struct slice host, bool *tenants) {
	struct http_auth *g = h->content->http_auth;
	*tenants = false;
	if (!resource->guarded)
		return MHD_HTTP_OK;
	const char *authorization =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	enum http_auth_verdict verdict = http_auth_check(g, authorization);
	/* The header is in the memory of the connection, and is not read again. */
	if (authorization != NULL)
		explicit_bzero((char *)(uintptr_t)authorization, strlen(authorization));
	if (verdict == HTTP_AUTH_WRONG) {
		char client[CLIENT_TEXT];
		describe_client(connection, client, sizeof(client));
		http_auth_report(g, client);
	}
	*tenants = verdict == HTTP_AUTH_KNOWN;
	if (!*tenants && (verdict == HTTP_AUTH_WRONG || g->everything))
		return MHD_HTTP_UNAUTHORIZED;
	/* A web page of another host does not know the secret. */
	bool secret = g->set && verdict == HTTP_AUTH_KNOWN;
	return secret || is_for_known_host(h, connection, host) ? MHD_HTTP_OK : MHD_HTTP_MISDIRECTED_REQUEST;
}

/* Returns a number of the query, or 0 if it is missing. */
static uint64_t argument(struct MHD_Connection *connection, const char *name) {
	const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
	int64_t number;
	return text != NULL && number_parse(slice_of(text), &number) && number > 0 ? (uint64_t)number : 0;
}

static struct http_client *client_of(struct MHD_Connection *connection) {
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info != NULL ? info->socket_context : NULL;
}

/* Appends the reason for a status. Returns the status, or a negative error. */
static int refuse(struct buffer *body, int status) {
	const char *why =
		status == MHD_HTTP_UNAUTHORIZED ? "Send the secret, as a bearer token or as the password of any user.\n"
		: status == MHD_HTTP_MISDIRECTED_REQUEST ? "Unknown host name: see http.hosts in atomdb.conf(5).\n"
		: status == MHD_HTTP_METHOD_NOT_ALLOWED  ? "Method not allowed: AtomDB supports GET and HEAD only.\n"
		: status == MHD_HTTP_BAD_REQUEST         ? "The request is ambiguous.\n"
							 : "Too many clients read responses: try again.\n";
	return append(body, why) ?: status;
}

/* Appends the body of the response. Returns its status, or a negative error. Sets `*resource` to NULL if the body is
 * not from that resource. */
static int render(struct http *h, struct MHD_Connection *connection, const struct http_resource **resource, bool get,
		  struct slice host, struct buffer *body) {
	struct http_query query = {.after = argument(connection, "after")};
	const struct http_resource *wanted = *resource;
	*resource = NULL;
	if (wanted == NULL)
		return http_resources_list(body) ?: MHD_HTTP_NOT_FOUND;
	if (!get)
		return refuse(body, MHD_HTTP_METHOD_NOT_ALLOWED);
	int status = admit(h, connection, wanted, host, &query.tenants);
	if (status == MHD_HTTP_OK && wanted->guarded && h->clients.answered.bytes > 2 * HTTP_ANSWERED_BYTES)
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
	if (status != MHD_HTTP_OK)
		return refuse(body, status);
	*resource = wanted;
	return wanted->render(h->content, &query, body);
}

/* Queues a response with this body, unless the status is an error. */
static enum MHD_Result finish(struct http *h, struct MHD_Connection *connection, struct http_client *client, int status,
			      const struct http_resource *resource, struct buffer *body) {
	if (status >= 0)
		return answer(h, connection, client, (unsigned)status, resource, body);
	buffer_deinit(body);
	return MHD_NO;
}

static enum MHD_Result respond(struct http *h, struct MHD_Connection *connection, struct http_client *client,
			       const char *target, const char *method) {
	struct slice host = {NULL, 0};
	char *accept = join_headers(connection, MHD_HTTP_HEADER_ACCEPT);
	const struct http_resource *resource = http_resources_find(http_target_path(target, &host), accept);
	free(accept);
	bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	struct buffer body;
	buffer_init(&body);
	int status = render(h, connection, &resource, get, host, &body);
	return finish(h, connection, client, status, resource, &body);
}

static enum MHD_Result read_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
				   const char *value, size_t value_len) {
	(void)kind;
	if (value == NULL)
		value = "";
	http_request_header(context, (struct slice){name, name_len}, value, value_len);
	return MHD_YES;
}

/* Refuses a request whose end is uncertain. Called when its head is complete. */
static enum MHD_Result check(struct http *h, struct MHD_Connection *connection, struct http_client *client,
			     const char *method, const char *version) {
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct http_request r = {.end = version + strlen(version)};
	struct buffer body;
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, read_header, &r);
	/* The method is the first word of the head. */
	if (info != NULL && http_request_valid(&r, version, method + info->header_size))
		return MHD_YES;
	buffer_init(&body);
	return finish(h, connection, client, refuse(&body, MHD_HTTP_BAD_REQUEST), NULL, &body);
}

/* libmicrohttpd calls this once for the head of a request, for each piece of its body, and at its end. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **state) {
	struct http *h = context;
	struct http_client *client = client_of(connection);
	(void)upload;
	if (client == NULL)
		return MHD_NO;
	if (*state == NULL) {
		*state = client;
		client->uploaded = 0;
		client->handled = true;
		return check(h, connection, client, method, version);
	}
	if (*upload_size > 0) {
		/* No resource takes a body. Discards a small body, so that the client reads the response. */
		client->uploaded += *upload_size;
		*upload_size = 0;
		return client->uploaded <= BODY_MAX ? MHD_YES : MHD_NO;
	}
	return respond(h, connection, client, path, method);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code) {
	struct http *h = context;
	struct http_client *c = *state;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c != NULL)
			http_clients_remove(&h->clients, c);
		free(c);
		*state = NULL;
		return;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info == NULL)
		return;
	c = malloc(sizeof(*c));
	if (c == NULL) {
		/* Without memory for its deadline the connection is closed. */
		shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	http_clients_add(&h->clients, c, info->connect_fd);
	c->connection = connection;
	*state = c;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code) {
	struct http *h = context;
	struct http_client *c = client_of(connection);
	(void)state;
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK || c == NULL)
		return;
	http_clients_answered(&h->clients, c);
	c->handled = false;
}

/* Returns the client whose head is complete but was not passed to handle(), or NULL. */
static struct http_client *find_unhandled(const struct http *h) {
	list_for_each (l, &h->clients.idle.clients) {
		struct http_client *c = list_entry(l, struct http_client, link);
		if (!c->handled &&
		    MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) != NULL)
			return c;
	}
	return NULL;
}

/* Sends a response without a body, to a request of any method. */
static void send_error(int fd, unsigned status) {
	char head[256], date[64];
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	int len = snprintf(head, sizeof(head),
			   "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status,
			   MHD_get_reason_phrase_for(status), date);
	if (len > 0 && (size_t)len < sizeof(head))
		send(fd, head, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* libmicrohttpd calls this for each of its log messages.
 *
 * If libmicrohttpd 0.9.75 refuses a complete head, for its Content-Length or its cookies, it builds its response, goes
 * on as if handle() had to be called, and builds the head of the response again. So AtomDB sends the response, and
 * shuts the socket down before libmicrohttpd writes to it. */
static void on_message(void *context, const char *format, va_list arguments) {
	static const char refused[] = "Error processing request (HTTP response code is %u ";
	const struct http *h = context;
	if (strncmp(format, refused, sizeof(refused) - 1) != 0)
		return;
	struct http_client *c = find_unhandled(h);
	if (c == NULL)
		return;
	send_error(c->fd, va_arg(arguments, unsigned));
	http_clients_end(c);
}

static int watch(const struct http *h, int fd) {
	struct epoll_event event = {.events = EPOLLIN};
	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start_daemon(struct http *h) {
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL,
				     handle, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, h, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned)HTTP_OPEN_MAX, MHD_OPTION_CONNECTION_TIMEOUT, STALL_TIMEOUT,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MAX, MHD_OPTION_NOTIFY_CONNECTION,
				     on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		h->daemon == NULL ? NULL : MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info == NULL || info->epoll_fd < 0 ? -EIO : watch(h, info->epoll_fd);
}

int http_new(struct http **out, int listen_fd, const struct http_content *content) {
	int flags = fcntl(listen_fd, F_GETFL);
	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	struct http *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->content = content;
	h->listen_fd = listen_fd;
	http_clients_init(&h->clients);
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int error = h->epoll_fd < 0 ? -errno : watch(h, listen_fd);
	if (error == 0)
		error = start_daemon(h);
	if (error != 0)
		http_free(h);
	else
		*out = h;
	return error;
}

void http_free(struct http *h) {
	if (h == NULL)
		return;
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon);
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	free(h);
}

int http_fd(const struct http *h) {
	return h->epoll_fd;
}

static int64_t earlier(int64_t a, int64_t b) {
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

int64_t http_timeout(const struct http *h, uint64_t now_ns) {
	MHD_UNSIGNED_LONG_LONG wait;
	int64_t timeout = http_clients_timeout(&h->clients, now_ns);
	if (MHD_get_timeout(h->daemon, &wait) == MHD_YES)
		timeout = earlier(timeout, wait < INT32_MAX ? (int64_t)wait : INT32_MAX);
	if (h->resume_ns != 0)
		timeout =
			earlier(timeout, h->resume_ns > now_ns ? (int64_t)((h->resume_ns - now_ns) / 1000000 + 1) : 0);
	return timeout;
}

/* Stops watching the listening socket, which stays readable while nothing can be accepted. */
static void pause_accepting(struct http *h, int error) {
	const struct log_event event = {.id = LOG_EVENT_ACCEPT_FAILED, .detail = "HTTP", .error = error};
	log_report(h->content->http_auth->events, &event);
	h->resume_ns = h->clients.now_ns + ACCEPT_PAUSE_NS;
	epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, h->listen_fd, NULL);
}

static void resume_accepting(struct http *h) {
	if (h->resume_ns == 0 || h->resume_ns > h->clients.now_ns)
		return;
	h->resume_ns = watch(h, h->listen_fd) == 0 ? 0 : h->clients.now_ns + ACCEPT_PAUSE_NS;
}

static void accept_clients(struct http *h) {
	for (unsigned i = 0; i < ACCEPT_BATCH && h->resume_ns == 0 && h->clients.open < HTTP_OPEN_MAX; i++) {
		union {
			struct sockaddr any;
			struct sockaddr_storage room;
		} address;
		socklen_t size = sizeof(address);
		int fd = accept4(h->listen_fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				pause_accepting(h, -errno);
			/* accept(2) also fails for a connection that was closed before: there may be others. */
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return;
			continue;
		}
		/* Closes the socket on failure. */
		MHD_add_connection(h->daemon, fd, &address.any, size);
	}
}

void http_run(struct http *h, uint64_t now_ns) {
	http_clients_expire(&h->clients, now_ns);
	resume_accepting(h);
	accept_clients(h);
	MHD_run(h->daemon);
	http_clients_trim(&h->clients);
}
