/* The log: takes events from every floor to systemd's journal, or as readable lines to stderr. It never waits for
 * either: what cannot be written at once is left out and counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/counter.h"
#include "atomdb/util/log.h"

#define JOURNAL_MESSAGE_MAX 1024 /* bytes of a rendered message, terminator included */
#define JOURNAL_BYTES_SHOWN 64   /* of what a client sent */

struct journal;

/* The events of one kind in the minute that began at `since_ns`. */
struct journal_rate {
	uint64_t since_ns;
	unsigned said;
	uint64_t suppressed; /* since the last line that told of it */
};

/* Returns whether one more event may be logged at the monotonic time `now_ns`, and counts it. `per_minute` 0: always.
 */
bool journal_admit(struct journal_rate *rate, unsigned per_minute, uint64_t now_ns);

/* Renders an event as one line of printable ASCII without newline: what is not printable becomes \xHH, what a client
 * sent is cut. Returns the length; `out` is terminated. */
size_t journal_render(const struct log_event *event, char out[JOURNAL_MESSAGE_MAX]);

/* Writes to the journal when stderr is connected to it ($JOURNAL_STREAM), else to the file `fd`, which stays the
 * caller's. Events less important than the syslog priority `level` are dropped. 0 or -ENOMEM. */
int journal_new(struct journal **out, int fd, int level);
void journal_free(struct journal *j);

/* The sink for the other floors; may be used from any thread until journal_free. */
const struct log_sink *journal_sink(struct journal *j);
void journal_set_level(struct journal *j, int level);
/* Tells of kinds whose minute is over and that were suppressed; to be called now and then. */
void journal_flush(struct journal *j);
/* Waits a moment for the journal to have read what was said, before the process ends: of a process that is gone, it can
 * no longer tell the unit. For failures; `j` may be NULL. */
void journal_settle(const struct journal *j);
/* How many events were left out: by the rate limit, or because nobody took them. */
const counter *journal_suppressed(const struct journal *j);
