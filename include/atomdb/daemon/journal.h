/* The log: writes events of every floor to systemd's journal, or as readable lines to stderr. It never blocks: it drops
 * and counts an event that cannot be written at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/counter.h"
#include "atomdb/util/log.h"

#define JOURNAL_MESSAGE_MAX 1024 /* bytes of a rendered message, with the terminator */
#define JOURNAL_BYTES_SHOWN 64   /* bytes of text that a client sent */

struct journal;

/* The events of one kind in the minute that began at `since_ns`. */
struct journal_rate {
	uint64_t since_ns;
	unsigned said;
	uint64_t suppressed; /* since the last line that reported it */
};

/* Counts one more event at the monotonic time `now_ns`. Returns whether it may be logged. If `per_minute` is 0, it
 * always may. */
bool journal_admit(struct journal_rate *rate, unsigned per_minute, uint64_t now_ns);

/* Renders an event as one line of printable ASCII without a newline. Other bytes become \xHH; text of a client is cut.
 * Returns the length; `out` is terminated. */
size_t journal_render(const struct log_event *event, char out[JOURNAL_MESSAGE_MAX]);

/* Opens the log. Writes to the journal if stderr is connected to it ($JOURNAL_STREAM), else to the file `fd`, which the
 * caller owns. Drops events less important than the syslog priority `level`. Returns 0 or -ENOMEM. */
int journal_new(struct journal **out, int fd, int level);
void journal_free(struct journal *j);

/* The sink for the other floors. Any thread may use it until journal_free. */
const struct log_sink *journal_sink(struct journal *j);
void journal_set_level(struct journal *j, int level);
/* Logs how many events were suppressed, for each kind whose minute is over. Call it periodically. */
void journal_flush(struct journal *j);
/* Waits up to 200 ms until the journal has read all entries. Call it before the process ends with a failure: the
 * journal cannot find the unit of a process that has ended. `j` may be NULL. */
void journal_settle(const struct journal *j);
/* Returns the number of events that were dropped: by the rate limit, or because the journal or the file took no more.
 */
const counter *journal_suppressed(const struct journal *j);
