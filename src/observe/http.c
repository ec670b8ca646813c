/* The HTTP side on libmicrohttpd.
 *
 * libmicrohttpd has no listening socket: at its limit of connections it stops watching one, and does not always begin
 * again. http_run() accepts the connections, hands them to libmicrohttpd, and decides which client must go
 * (http_clients.h). */
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
#include "observe/negotiate.h"

/* Connections that one http_run() accepts: their requests are read before any other connection takes their place. */
#define ACCEPT_BATCH 16
_Static_assert(HTTP_OPEN_MAX >= HTTP_IDLE_MAX + HTTP_ANSWERED_MAX + ACCEPT_BATCH, "there is room for a batch");
/* Time without accepting after the system had no descriptor or memory for a connection. */
#define ACCEPT_PAUSE_NS (100 * (uint64_t)1000000)
/* Bytes for a request's head, of which browsers send many; the answer's head comes from the same memory. */
#define REQUEST_MAX ((size_t)16 << 10)
/* Bytes of a request's body that are read and dropped. */
#define BODY_MAX ((size_t)64 << 10)
/* Seconds in which a client that is answered must read something. */
#define STALL_TIMEOUT 5u
/* Bytes of a body that is worth compressing, and of one that is compressed with care without holding the loop up: a
 * megabyte would take 10 ms. */
#define GZIP_MIN  ((size_t)1 << 10)
#define GZIP_CARE ((size_t)256 << 10)

struct http {
	struct MHD_Daemon *daemon; /* owned */
	int listen_fd;             /* the caller's */
	int epoll_fd;              /* owned: watches listen_fd and the daemon's epoll fd */
	uint64_t resume_ns;        /* when to accept again; 0: listen_fd is watched */
	const struct http_content *content;
	struct http_clients clients;
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
	bool guarded; /* it shows counters: by the operator's choice they need the secret */
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
	int r = status_api_render_status(content->status_api, asked->tenants, out);
	return r != 0 ? r : MHD_HTTP_OK;
}

static int render_history(const struct http_content *content, const struct asked *asked, struct buffer *out) {
	int r = status_api_render_history(content->status_api, asked->after, out);
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

/* The forms of /metrics. */
#define OPENMETRICS "application/openmetrics-text"
static const struct media_type metrics_types[] = {
	{"text/plain", "0.0.4"}, {OPENMETRICS, "1.0.0"}, {OPENMETRICS, "0.0.1"}};
static const struct resource metrics_forms[] = {
	{"/metrics", "text/plain; version=0.0.4; charset=utf-8", true, render_metrics},
	{"/metrics", OPENMETRICS "; version=1.0.0; charset=utf-8", true, render_openmetrics},
	{"/metrics", OPENMETRICS "; version=0.0.1; charset=utf-8", true, render_openmetrics},
};

/* A header's values, as the lines of a request give them (RFC 9110, section 5.3). */
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

/* The values of all headers of that name, joined; the caller frees them. NULL: none, or no memory. */
static char *join_headers(struct MHD_Connection *connection, const char *name) {
	struct joined j = {.name = name};
	buffer_init(&j.value);
	MHD_get_connection_values(connection, MHD_HEADER_KIND, join, &j);
	if (j.value.len > 0 && buffer_append(&j.value, "", 1, SIZE_MAX) == 0)
		return j.value.data;
	buffer_deinit(&j.value);
	return NULL;
}

/* What a path answers to this client. */
static const struct resource *find_resource(struct MHD_Connection *connection, const char *path) {
	if (strcmp(path, metrics_forms[0].path) == 0) {
		char *accept = join_headers(connection, MHD_HTTP_HEADER_ACCEPT);
		unsigned form = negotiate_type(accept, metrics_types, sizeof(metrics_types) / sizeof(metrics_types[0]));
		free(accept);
		return &metrics_forms[form];
	}
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		if (strcmp(resources[i].path, path) == 0)
			return &resources[i];
	}
	return NULL;
}

/* Of what is no page. */
static const char closed_policy[] = "default-src 'none'; frame-ancestors 'none'";

static bool add_headers(struct MHD_Response *response, unsigned status, const char *type, const char *policy,
			bool compressed, bool last) {
	bool allow = status == MHD_HTTP_METHOD_NOT_ALLOWED, challenge = status == MHD_HTTP_UNAUTHORIZED;
	return MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
	       MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
	       MHD_add_response_header(response, "Content-Security-Policy", policy) == MHD_YES &&
	       MHD_add_response_header(response, "Referrer-Policy", "no-referrer") == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding") == MHD_YES &&
	       (!compressed ||
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip") == MHD_YES) &&
	       (!challenge || (MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						       "Bearer realm=\"AtomDB\"") == MHD_YES &&
			       MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						       "Basic realm=\"AtomDB\", charset=\"UTF-8\"") == MHD_YES)) &&
	       (!last || MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES) &&
	       (!allow || MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES);
}

/* Sends `body`, whose bytes it takes over. */
static enum MHD_Result answer(struct http *h, struct MHD_Connection *connection, struct http_client *client,
			      unsigned status, const char *type, const char *policy, struct buffer *body) {
	char *accept = join_headers(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	enum content_coding content_coding = negotiate_coding(accept);
	free(accept);
	bool compressed =
		(content_coding == CODING_NEEDED || (content_coding == CODING_ALLOWED && body->len >= GZIP_MIN)) &&
		(body->len <= GZIP_CARE ? negotiate_gzip(body) : negotiate_gzip_lines(body)) == 0;
	size_t size = body->len;
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(size, body->data, free);
	if (response == NULL) {
		buffer_deinit(body);
		return MHD_NO;
	}
	enum MHD_Result r = MHD_NO;
	/* The end of the request is not certain if the head is invalid. libmicrohttpd does not check trailers. */
	bool last = status == MHD_HTTP_BAD_REQUEST ||
		    MHD_get_connection_values(connection, MHD_FOOTER_KIND, NULL, NULL) > 0;
	http_clients_answer(&h->clients, client, size);
	if (add_headers(response, status, type, policy, compressed, last))
		r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

#define CLIENT_TEXT (INET6_ADDRSTRLEN + 16)

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

/* Whether the request is for a host that the operator uses. */
static bool is_for_known_host(const struct http *h, struct MHD_Connection *connection, struct slice host) {
	const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	if (host.data == NULL && header != NULL)
		host = slice_of(header);
	/* No browser leaves it out. */
	if (host.data == NULL || hosts_know(h->content->hosts, host))
		return true;
	char client[CLIENT_TEXT];
	describe_client(connection, client, sizeof(client));
	log_report(h->content->http_auth->events,
		   &(struct log_event){.id = LOG_EVENT_HTTP_HOST, .client = client, .bytes = host});
	return false;
}

/* Whether the client may see the resource: MHD_HTTP_OK or why not. `*tenants`: also what it says of tenants. `host`:
 * the target's. */
static int admit(const struct http *h, struct MHD_Connection *connection, const struct resource *resource,
		 struct slice host, bool *tenants) {
	struct http_auth *g = h->content->http_auth;
	*tenants = false;
	if (!resource->guarded)
		return MHD_HTTP_OK;
	const char *authorization =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	enum http_auth_verdict verdict = http_auth_check(g, authorization);
	/* It is in the connection's own memory, and nobody reads it again. */
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

/* A number of the query; 0 where it has none. */
static uint64_t argument(struct MHD_Connection *connection, const char *name) {
	const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
	int64_t number;
	return text != NULL && number_parse(slice_of(text), &number) && number > 0 ? (uint64_t)number : 0;
}

static struct http_client *client_of(struct MHD_Connection *connection) {
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info != NULL ? info->socket_context : NULL;
}

/* Why there is no response of the resource. */
static int refuse(struct buffer *body, int status) {
	const char *why = status == MHD_HTTP_UNAUTHORIZED
				  ? "This needs the secret, as a bearer token or as the password of any user.\n"
			  : status == MHD_HTTP_MISDIRECTED_REQUEST
				  ? "This host is not known here: see http.hosts in atomdb.conf(5).\n"
			  : status == MHD_HTTP_METHOD_NOT_ALLOWED
				  ? "Not allowed: only GET and HEAD are answered here.\n"
			  : status == MHD_HTTP_BAD_REQUEST ? "The request has more than one reading.\n"
							   : "Too many responses are being read; try again.\n";
	return append(body, why) ?: status;
}

/* Appends the response's body; its status, or a negative error. `*resource` is NULL then if the body is not its. */
static int render(struct http *h, struct MHD_Connection *connection, const struct resource **resource, bool get,
		  struct slice host, struct buffer *body) {
	struct asked asked = {.after = argument(connection, "after")};
	const struct resource *wanted = *resource;
	*resource = NULL;
	if (wanted == NULL)
		return name_resources(body) ?: MHD_HTTP_NOT_FOUND;
	if (!get)
		return refuse(body, MHD_HTTP_METHOD_NOT_ALLOWED);
	int status = admit(h, connection, wanted, host, &asked.tenants);
	if (status == MHD_HTTP_OK && wanted->guarded && h->clients.answered.bytes > 2 * HTTP_ANSWERED_BYTES)
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
	if (status != MHD_HTTP_OK)
		return refuse(body, status);
	*resource = wanted;
	return wanted->render(h->content, &asked, body);
}

/* Queues a response whose body is `body`, if its status is not negative. */
static enum MHD_Result finish(struct http *h, struct MHD_Connection *connection, struct http_client *client, int status,
			      const struct resource *resource, struct buffer *body) {
	bool page = resource != NULL && resource->render == render_page;
	if (status < 0) {
		buffer_deinit(body);
		return MHD_NO;
	}
	return answer(h, connection, client, (unsigned)status,
		      resource != NULL ? resource->type : "text/plain; charset=utf-8",
		      page ? page_policy(h->content->page) : closed_policy, body);
}

static enum MHD_Result respond(struct http *h, struct MHD_Connection *connection, struct http_client *client,
			       const char *target, const char *method) {
	struct slice host = {NULL, 0};
	const struct resource *resource = find_resource(connection, http_target_path(target, &host));
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

/* At the head of a request: refuses it if its end is in doubt. */
static enum MHD_Result check(struct http *h, struct MHD_Connection *connection, struct http_client *client,
			     const char *method, const char *version) {
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct http_request r = {.end = version + strlen(version)};
	struct buffer body;
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, read_header, &r);
	/* The head begins with the method. */
	if (info != NULL && http_request_valid(&r, version, method + info->header_size))
		return MHD_YES;
	buffer_init(&body);
	return finish(h, connection, client, refuse(&body, MHD_HTTP_BAD_REQUEST), NULL, &body);
}

/* libmicrohttpd calls it once for the head of a request, for each piece of its body, and at its end. */
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
		/* No resource takes a body. A small one is dropped, so that the client reads the response to it. */
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
		/* Without a deadline it may not stay. */
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

/* The client whose head is complete and has not come to handle(); NULL: none. */
static struct http_client *find_unhandled(const struct http *h) {
	list_for_each (l, &h->clients.idle.clients) {
		struct http_client *c = list_entry(l, struct http_client, link);
		if (!c->handled &&
		    MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) != NULL)
			return c;
	}
	return NULL;
}

/* Sends the response to a request of any method: it has no body. */
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

/* libmicrohttpd calls it for each of its messages.
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

/* Stops watching the listening socket: it stays readable while nothing can be accepted. */
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
			/* A connection that is gone again is reported likewise (accept(2)): there may be others. */
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return;
			continue;
		}
		/* Closes the socket if it fails. */
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
