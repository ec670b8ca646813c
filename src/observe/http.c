/* libmicrohttpd closes connections that send or read nothing for a while, but one that sends a byte now and then could
 * stay for ever, and a few of those would lock everybody else out. So each connection also has a deadline by which its
 * request must be answered and the answer read; whoever misses it is shut down here. All deadlines are equally far
 * away when they are set, so a list in the order of setting is in the order of deadlines. */
#include "atomdb/observe/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atomdb/util/clock.h"
#include "atomdb/util/list.h"
#include "atomdb/util/number.h"
#include "observe/negotiate.h"

/* A few scrapers and a person; each may hold a page's bytes while it reads them. */
#define CONNECTIONS_MAX 32
/* Bytes for a request's head, of which browsers send many; the answer's head comes from the same memory. */
#define REQUEST_MAX ((size_t)16 << 10)
/* Seconds of silence. */
#define IDLE_TIMEOUT 5u
/* Time for a request to be sent, answered and the answer read. */
#define REQUEST_TIMEOUT_NS (15 * (uint64_t)1000000000)
/* Bytes of a body that is worth packing, and of one that is packed with care without holding the loop up: a megabyte
 * would take 10 ms. */
#define GZIP_MIN  ((size_t)1 << 10)
#define GZIP_CARE ((size_t)256 << 10)

struct http {
	struct MHD_Daemon *daemon; /* owned */
	int listen_fd;             /* owned, a duplicate */
	int epoll_fd;              /* the daemon's */
	const struct http_content *content;
	struct list connections; /* by deadline */
};

struct http_connection {
	struct list link;
	uint64_t deadline_ns;
	int fd; /* the daemon's */
};

/* What is asked for, beside the path. */
struct asked {
	bool tenants;   /* by somebody who may see them */
	uint64_t after; /* ?after= */
};

/* What a path answers. */
struct resource {
	const char *path;
	const char *type;
	bool guarded; /* it shows figures: by the operator's choice they need the secret */
	/* Appends the body; returns the status, or a negative error. */
	int (*render)(const struct http_content *content, const struct asked *asked, struct buffer *out);
};

static int append(struct buffer *out, const char *body) {
	return buffer_append(out, body, strlen(body), SIZE_MAX);
}

static int render_page(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	struct slice html = page_html(content->page);
	(void)asked;
	int r = buffer_append(out, html.data, html.len, SIZE_MAX);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_status(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	int r = view_render_status(content->view, asked->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_history(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	int r = view_render_history(content->view, asked->after, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_health(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	(void)asked;
	int r = health_render(content->health, out);
	if (r != 0)
		return r;
	return health_ok(content->health) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* That the loop has come here is the answer: a worker that hangs is the watchdog's affair. */
static int render_live(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	(void)content, (void)asked;
	int r = append(out, "{\"status\":\"ok\"}\n");
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_metrics(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	int r = metrics_render(content->metrics, METRICS_TEXT, asked->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_openmetrics(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	int r = metrics_render(content->metrics, METRICS_OPENMETRICS, asked->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static const struct resource resources[] = {
	{"/", "text/html; charset=utf-8", false, render_page},
	{"/api/history", "application/json", true, render_history},
	{"/api/status", "application/json", true, render_status},
	{"/health", "application/json", false, render_health},
	{"/health/live", "application/json", false, render_live},
	{"/health/ready", "application/json", false, render_health},
	{"/metrics", "text/plain; version=0.0.4; charset=utf-8", true, render_metrics},
};

static int name_resources(struct buffer *out) {
	int r = append(out, "Not found. There are");
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]) && r == 0; i++) {
		r = append(out, i == 0 ? " " : ", ");
		if (r == 0)
			r = append(out, resources[i].path);
	}
	return r != 0 ? r : append(out, ".\n");
}

#define OPENMETRICS "application/openmetrics-text"
static const struct resource openmetrics = {"/metrics", OPENMETRICS "; version=1.0.0; charset=utf-8", true,
					    render_openmetrics};

/* What a path answers to this client. */
static const struct resource *find_resource(struct MHD_Connection *connection, const char *path) {
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	if (strcmp(path, openmetrics.path) == 0 && negotiate_accepts(accept, OPENMETRICS))
		return &openmetrics;
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		if (strcmp(resources[i].path, path) == 0)
			return &resources[i];
	}
	return NULL;
}

/* Of what is no page. */
static const char closed_policy[] = "default-src 'none'; frame-ancestors 'none'";

static bool add_headers(struct MHD_Response *response, unsigned status, const char *type, const char *policy,
			bool packed) {
	bool allow = status == MHD_HTTP_METHOD_NOT_ALLOWED, challenge = status == MHD_HTTP_UNAUTHORIZED;
	return MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
	       MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
	       MHD_add_response_header(response, "Content-Security-Policy", policy) == MHD_YES &&
	       MHD_add_response_header(response, "Referrer-Policy", "no-referrer") == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding") == MHD_YES &&
	       (!packed || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip") == MHD_YES) &&
	       (!challenge || (MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						       "Bearer realm=\"AtomDB\"") == MHD_YES &&
			       MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						       "Basic realm=\"AtomDB\", charset=\"UTF-8\"") == MHD_YES)) &&
	       (!allow || MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES);
}

/* Sends `body`, whose bytes it takes over. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, const char *policy,
			      struct buffer *body) {
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	bool packed = body->len >= GZIP_MIN && negotiate_accepts(accept, "gzip") &&
		      (body->len <= GZIP_CARE ? negotiate_gzip(body) : negotiate_gzip_lines(body)) == 0;
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(body->len, body->data, free);
	if (response == NULL) {
		buffer_deinit(body);
		return MHD_NO;
	}
	enum MHD_Result r = MHD_NO;
	if (add_headers(response, status, type, policy, packed))
		r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

/* Writes the client's address as the log shows it elsewhere. */
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

/* Whether the client may see the resource; `*tenants`: also what it says of tenants. */
static bool admit(const struct http *h, struct MHD_Connection *connection, const struct resource *resource,
		  bool *tenants) {
	struct guard *g = h->content->guard;
	*tenants = false;
	if (!resource->guarded)
		return true;
	enum guard_verdict verdict =
		guard_check(g, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION));
	if (verdict == GUARD_WRONG) {
		char client[INET6_ADDRSTRLEN + 16];
		describe_client(connection, client, sizeof(client));
		guard_report(g, client);
	}
	*tenants = verdict == GUARD_KNOWN;
	return *tenants || (verdict == GUARD_UNKNOWN && !g->everything);
}

/* A number of the query; 0 where it has none. */
static uint64_t argument(struct MHD_Connection *connection, const char *name) {
	const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
	int64_t number;
	return text != NULL && number_parse(slice_of(text), &number) && number > 0 ? (uint64_t)number : 0;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
			      const char *version, const char *upload, size_t *upload_size, void **state) {
	static const char text[] = "text/plain; charset=utf-8";
	struct http *h = context;
	const struct resource *resource = find_resource(connection, path);
	bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	struct buffer body;
	(void)version;
	(void)upload;
	if (*upload_size > 0)
		return MHD_NO; /* nothing here takes a body */
	/* The first call comes when the head is read. An answer to it ends the connection, which is right for a
	 * request that may bring a body. */
	if (*state == NULL && get) {
		*state = h;
		return MHD_YES;
	}
	buffer_init(&body);
	int status;
	struct asked asked = {.after = argument(connection, "after")};
	if (resource == NULL) {
		status = name_resources(&body) ?: MHD_HTTP_NOT_FOUND;
	} else if (!get) {
		status = append(&body, "Not allowed: only GET and HEAD are answered here.\n")
				 ?: MHD_HTTP_METHOD_NOT_ALLOWED;
	} else if (!admit(h, connection, resource, &asked.tenants)) {
		status = append(&body, "This needs the secret, as a bearer token or as the password of any user.\n")
				 ?: MHD_HTTP_UNAUTHORIZED;
		resource = NULL;
	} else {
		status = resource->render(h->content, &asked, &body);
	}
	if (status < 0) {
		buffer_deinit(&body);
		return MHD_NO;
	}
	bool page = resource != NULL && resource->render == render_page;
	return answer(connection, (unsigned)status, resource != NULL && get ? resource->type : text,
		      page ? page_policy(h->content->page) : closed_policy, &body);
}

static void set_deadline(struct http *h, struct http_connection *c) {
	list_remove(&c->link);
	c->deadline_ns = clock_monotonic_ns() + REQUEST_TIMEOUT_NS;
	list_push_back(&h->connections, &c->link);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code) {
	struct http *h = context;
	struct http_connection *c = *state;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c != NULL)
			list_remove(&c->link);
		free(c);
		*state = NULL;
		return;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info == NULL)
		return;
	c = malloc(sizeof(*c));
	if (c == NULL) {
		/* Without a deadline it may not stay. */
		shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	c->fd = info->connect_fd;
	list_init(&c->link);
	set_deadline(h, c);
	*state = c;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code) {
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	(void)state;
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && info != NULL && info->socket_context != NULL)
		set_deadline(context, info->socket_context);
}

int http_new(struct http **out, int listen_fd, const struct http_content *content) {
	struct http *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->content = content;
	list_init(&h->connections);
	int error = 0;
	/* The daemon takes its listening socket with it when it goes. */
	h->listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
	int flags = h->listen_fd < 0 ? -1 : fcntl(h->listen_fd, F_GETFL);
	if (flags < 0 || fcntl(h->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		error = -errno;
		goto fail;
	}
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, h, MHD_OPTION_LISTEN_SOCKET, h->listen_fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     REQUEST_MAX, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		h->daemon == NULL ? NULL : MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || info->epoll_fd < 0) {
		error = -EIO;
		goto fail;
	}
	h->epoll_fd = info->epoll_fd;
	*out = h;
	return 0;
fail:
	http_free(h);
	return error;
}

void http_free(struct http *h) {
	if (h == NULL)
		return;
	if (h->daemon != NULL) {
		/* Takes the listening socket away from it, so that it is not shut down for the caller too. */
		MHD_quiesce_daemon(h->daemon);
		MHD_stop_daemon(h->daemon);
	}
	if (h->listen_fd >= 0)
		close(h->listen_fd);
	free(h);
}

int http_fd(const struct http *h) {
	return h->epoll_fd;
}

int64_t http_timeout(struct http *h) {
	MHD_UNSIGNED_LONG_LONG wait;
	int64_t timeout = -1;
	if (MHD_get_timeout(h->daemon, &wait) == MHD_YES)
		timeout = wait < INT32_MAX ? (int64_t)wait : INT32_MAX;
	if (!list_empty(&h->connections)) {
		const struct http_connection *c = list_entry(h->connections.next, struct http_connection, link);
		uint64_t now = clock_monotonic_ns();
		int64_t left = c->deadline_ns > now ? (int64_t)((c->deadline_ns - now) / 1000000 + 1) : 0;
		if (timeout < 0 || left < timeout)
			timeout = left;
	}
	return timeout;
}

void http_run(struct http *h) {
	uint64_t now = clock_monotonic_ns();
	list_for_each (node, &h->connections) {
		struct http_connection *c = list_entry(node, struct http_connection, link);
		if (c->deadline_ns > now)
			break;
		/* The daemon meets the end of the stream and closes. */
		shutdown(c->fd, SHUT_RDWR);
		list_remove(&c->link);
	}
	MHD_run(h->daemon);
}
