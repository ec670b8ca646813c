/* What the floors report to the operator: one row in log_events.def per kind of event.
 *
 * A floor says what happened, to whom; the sink that the daemon installs decides about priority (the row's), rate
 * limit (the row's), escaping of the client's bytes, and where it goes (journal fields or lines on stderr). */
#pragma once

#include "atomdb/util/slice.h"

enum log_event_id {
#define EVENT(name, message_id, priority, per_minute, text, advice) LOG_EVENT_##name,
#include "atomdb/util/log_events.def"
#undef EVENT
	LOG_EVENT_COUNT
};

/* The details of an event; what does not apply stays NULL or zero. */
struct log_event {
	enum log_event_id id;
	const char *tenant;  /* display name */
	const char *client;  /* address */
	const char *address; /* a listening address, a path */
	struct slice bytes;  /* what a client sent: the sink escapes and shortens it */
	int error;           /* negative: see error.h */
	const char *detail;  /* free text from the daemon itself, never from outside */
};

/* Takes events from any thread. */
struct log_sink {
	void (*report)(void *context, const struct log_event *log_event);
	void *context;
};

static inline void log_report(const struct log_sink *sink, const struct log_event *log_event) {
	if (sink != NULL && sink->report != NULL)
		sink->report(sink->context, log_event);
}
