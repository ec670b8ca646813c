#include "atomdb/daemon/journal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/util/clock.h"
#include "atomdb/util/error.h"

#define MINUTE_NS  UINT64_C(60000000000)
#define SETTLE_NS  200000000
#define FIELDS_MAX 10
#define FIELD_MAX  (JOURNAL_MESSAGE_MAX + 32)

struct kind {
	const char *name;
	const char *message_id;
	int priority;
	unsigned per_minute;
	const char *text;
};

static const struct kind kinds[LOG_EVENT_COUNT] = {
#define EVENT(name, message_id, priority, per_minute, text, advice) {#name, message_id, priority, per_minute, text},
#include "atomdb/util/log_events.def"
#undef EVENT
};

struct journal {
	struct log_sink sink;
	int fd;
	int socket; /* owned: the journal's socket, if stderr is connected to the journal; -1: lines go to fd */
	_Atomic int level;
	counter suppressed;
	/* Protects the fields below, and keeps lines apart. Contention is low: events are rare, or suppressed after a
	 * few instructions. */
	pthread_mutex_t mutex;
	struct journal_rate rates[LOG_EVENT_COUNT];
};

bool journal_admit(struct journal_rate *rate, unsigned per_minute, uint64_t now_ns) {
	if (per_minute == 0)
		return true;
	if (rate->since_ns == 0 || now_ns - rate->since_ns >= MINUTE_NS) {
		rate->since_ns = now_ns;
		rate->said = 0;
	}
	if (rate->said < per_minute) {
		rate->said++;
		return true;
	}
	rate->suppressed++;
	return false;
}

/* A message under construction. Drops bytes that do not fit. */
struct line {
	char *text;
	size_t len, room; /* room includes the terminator */
};

static void line_bytes(struct line *l, const char *bytes, size_t len) {
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		char escaped[5];
		int n = c >= 0x20 && c < 0x7f && c != '\\' ? snprintf(escaped, sizeof(escaped), "%c", c)
							   : snprintf(escaped, sizeof(escaped), "\\x%02x", c);
		if (n < 0 || l->len + (size_t)n >= l->room)
			return;
		memcpy(l->text + l->len, escaped, (size_t)n + 1);
		l->len += (size_t)n;
	}
}

static void line_text(struct line *l, const char *before, const char *text) {
	line_bytes(l, before, strlen(before));
	line_bytes(l, text, strlen(text));
}

size_t journal_render(const struct log_event *event, char out[JOURNAL_MESSAGE_MAX]) {
	struct line l = {.text = out, .room = JOURNAL_MESSAGE_MAX};
	*out = '\0';
	line_text(&l, "", kinds[event->id].text);
	const char *separator = ": ";
	const struct {
		const char *what, *value;
	} parts[] = {{"", event->address}, {"tenant ", event->tenant}, {"client ", event->client}, {"", event->detail}};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].value == NULL)
			continue;
		line_text(&l, separator, parts[i].what);
		line_text(&l, "", parts[i].value);
		separator = ", ";
	}
	if (event->bytes.len > 0) {
		bool cut = event->bytes.len > JOURNAL_BYTES_SHOWN;
		line_text(&l, separator, "sent \"");
		line_bytes(&l, event->bytes.data, cut ? JOURNAL_BYTES_SHOWN : event->bytes.len);
		line_text(&l, cut ? "...\"" : "\"", "");
		separator = ", ";
	}
	if (event->error != 0)
		line_text(&l, separator, error_text(event->error));
	return l.len;
}

/* The fields of one journal entry, each with a newline behind it. In systemd's "native journal protocol", values
 * without a newline are plain text. */
struct entry {
	struct iovec fields[FIELDS_MAX];
	int count;
	char text[FIELDS_MAX][FIELD_MAX];
};

static void entry_add(struct entry *e, const char *name, const char *bytes, size_t len) {
	struct line l = {.text = e->text[e->count], .room = FIELD_MAX};
	line_text(&l, name, "=");
	line_bytes(&l, bytes, len);
	l.text[l.len] = '\n';
	e->fields[e->count++] = (struct iovec){l.text, l.len + 1};
}

static void entry_add_text(struct entry *e, const char *name, const char *text) {
	if (text != NULL)
		entry_add(e, name, text, strlen(text));
}

/* A worker never waits for the journal or for the reader of a pipe: an entry that cannot be written at once is dropped
 * and counted. */
static bool send_entry(const struct journal *j, struct entry *e) {
	static const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
	const struct msghdr datagram = {
		.msg_name = (void *)(uintptr_t)&journal,
		.msg_namelen = sizeof(journal),
		.msg_iov = e->fields,
		.msg_iovlen = (size_t)e->count,
	};
	return sendmsg(j->socket, &datagram, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool write_native(const struct journal *j, const struct log_event *event, const char *message, size_t len) {
	const struct kind *kind = &kinds[event->id];
	struct entry e = {.count = 0};
	char number[16];
	/* The message is already escaped. */
	int n = snprintf(e.text[0], FIELD_MAX, "MESSAGE=%.*s\n", (int)len, message);
	e.fields[e.count++] = (struct iovec){e.text[0], n > 0 ? (size_t)n : 0};
	entry_add_text(&e, "SYSLOG_IDENTIFIER", "atomdb");
	snprintf(number, sizeof(number), "%d", kind->priority);
	entry_add_text(&e, "PRIORITY", number);
	entry_add_text(&e, "MESSAGE_ID", kind->message_id);
	entry_add_text(&e, "ATOMDB_EVENT", kind->name);
	entry_add_text(&e, "ATOMDB_TENANT", event->tenant);
	entry_add_text(&e, "ATOMDB_CLIENT", event->client);
	entry_add_text(&e, "ATOMDB_ADDRESS", event->address);
	if (event->bytes.len > 0)
		entry_add(&e, "ATOMDB_BYTES", event->bytes.data,
			  event->bytes.len < JOURNAL_BYTES_SHOWN ? event->bytes.len : JOURNAL_BYTES_SHOWN);
	snprintf(number, sizeof(number), "%d", -event->error);
	if (event->error < 0 && event->error > -4096)
		entry_add_text(&e, "ERRNO", number);
	return send_entry(j, &e);
}

static const char *level_name(int priority) {
	static const char *const names[] = {"emerg",   "alert",  "critical", "error",
					    "warning", "notice", "info",     "debug"};
	return names[priority & 7];
}

static bool write_line(const struct journal *j, int priority, const char *message, size_t len) {
	struct timespec now;
	struct tm local;
	char stamp[32] = "", line[JOURNAL_MESSAGE_MAX + 64];
	clock_gettime(CLOCK_REALTIME, &now);
	if (localtime_r(&now.tv_sec, &local) != NULL)
		strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &local);
	int n = snprintf(line, sizeof(line), "%s.%03ld %s: %.*s\n", stamp, now.tv_nsec / 1000000, level_name(priority),
			 (int)len, message);
	if (n <= 0)
		return false;
	/* A pipe that polls as writable takes at least a page. */
	struct pollfd ready = {.fd = j->fd, .events = POLLOUT};
	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
		return false;
	ssize_t written;
	do
		written = write(j->fd, line, (size_t)n);
	while (written < 0 && errno == EINTR);
	return written == n;
}

static void write_event(struct journal *j, const struct log_event *event) {
	char message[JOURNAL_MESSAGE_MAX];
	size_t len = journal_render(event, message);
	if (!(j->socket >= 0 ? write_native(j, event, message, len)
			     : write_line(j, kinds[event->id].priority, message, len)))
		counter_add(&j->suppressed, 1);
}

static void write_suppressed(struct journal *j, enum log_event_id id, uint64_t count) {
	char detail[64];
	snprintf(detail, sizeof(detail), "%llu more were suppressed", (unsigned long long)count);
	const struct log_event event = {.id = id, .detail = detail};
	write_event(j, &event);
}

static void report(void *context, const struct log_event *event) {
	struct journal *j = context;
	const struct kind *kind = &kinds[event->id];
	if (kind->priority > atomic_load_explicit(&j->level, memory_order_relaxed))
		return;
	struct journal_rate *rate = &j->rates[event->id];
	pthread_mutex_lock(&j->mutex);
	bool admitted = journal_admit(rate, kind->per_minute, clock_monotonic_ns());
	uint64_t missed = admitted ? rate->suppressed : 0;
	if (admitted)
		rate->suppressed = 0;
	else
		counter_add(&j->suppressed, 1);
	if (missed > 0)
		write_suppressed(j, event->id, missed);
	if (admitted)
		write_event(j, event);
	pthread_mutex_unlock(&j->mutex);
}

void journal_flush(struct journal *j) {
	uint64_t now = clock_monotonic_ns();
	pthread_mutex_lock(&j->mutex);
	for (unsigned i = 0; i < LOG_EVENT_COUNT; i++) {
		struct journal_rate *rate = &j->rates[i];
		if (rate->suppressed == 0 || now - rate->since_ns < MINUTE_NS)
			continue;
		write_suppressed(j, (enum log_event_id)i, rate->suppressed);
		rate->suppressed = 0;
	}
	pthread_mutex_unlock(&j->mutex);
}

/* $JOURNAL_STREAM has the device and inode of the file that systemd made stdout and stderr. Stderr may have been
 * redirected since. */
static bool connected_to_journal(int fd) {
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;
	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &status) == 0 &&
	       status.st_dev == device && status.st_ino == inode;
}

int journal_new(struct journal **out, int fd, int level) {
	struct journal *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return -ENOMEM;
	j->sink = (struct log_sink){report, j};
	j->fd = fd;
	j->socket = connected_to_journal(fd) ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	atomic_init(&j->level, level);
	pthread_mutex_init(&j->mutex, NULL);
	*out = j;
	return 0;
}

void journal_free(struct journal *j) {
	if (j == NULL)
		return;
	pthread_mutex_destroy(&j->mutex);
	if (j->socket >= 0)
		close(j->socket);
	free(j);
}

const struct log_sink *journal_sink(struct journal *j) {
	return &j->sink;
}

void journal_set_level(struct journal *j, int level) {
	atomic_store_explicit(&j->level, level, memory_order_relaxed);
}

void journal_settle(const struct journal *j) {
	const struct timespec moment = {.tv_nsec = SETTLE_NS};
	if (j != NULL && j->socket >= 0)
		nanosleep(&moment, NULL);
}

const counter *journal_suppressed(const struct journal *j) {
	return &j->suppressed;
}
