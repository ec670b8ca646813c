/* Log events about a client. */
#pragma once

#include <stdint.h>

#include "atomdb/util/log.h"
#include "atomdb/util/slice.h"

struct command;
struct connection;

/* Logs an event with the client's address and the name of its tenant. `detail` may be NULL. */
void report_event(const struct connection *c, enum log_event_id id, struct slice bytes, const char *detail);
/* Logs that a command of the client used `ms` milliseconds of CPU time without a check point. */
void report_stall(const struct connection *c, const struct command *command, uint64_t ms);
/* Logs that busy_limit has ended a command of the client after `ms` milliseconds. */
void report_ended(const struct connection *c, const struct command *command, uint64_t ms);
/* Logs that the client is closed because it holds `held` bytes, more than its share of the tenant's memory. */
void report_evicted(const struct connection *c, uint64_t held);
