/* Events that the floors report to the operator. log_events.def has one row for each kind of event.
 *
 * A floor reports an event with its details. The sink, installed by the daemon, applies the priority and the rate limit
 * of the row, escapes the bytes of clients, and writes to the journal or to stderr. */
#pragma once

#include "atomdb/util/slice.h"

enum log_event_id {
#define EVENT(name, message_id, priority, per_minute, text, advice) LOG_EVENT_##name,
#include "atomdb/util/log_events.def"
#undef EVENT
	LOG_EVENT_COUNT
};

/* Details of an event. Fields that do not apply are NULL or zero. */
struct log_event {
	enum log_event_id id;
	const char *tenant;  /* display name */
	const char *client;  /* address */
	const char *address; /* a listening address or a path */
	struct slice bytes;  /* bytes that a client sent: the sink escapes and truncates them */
	int error;           /* negative: see error.h */
	const char *detail;  /* text of the daemon itself, never from a client */
};

/* Any thread may call report(). */
struct log_sink {
	void (*report)(void *context, const struct log_event *log_event);
	void *context;
};

static inline void log_report(const struct log_sink *sink, const struct log_event *log_event) {
	if (sink != NULL && sink->report != NULL)
		sink->report(sink->context, log_event);
}
