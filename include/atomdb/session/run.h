/* Runs a command and counts it. */
#pragma once

#include "atomdb/session/session.h"

/* Runs a command that has been admitted, and charges its time to its counters and its tenant's. Parameters as
 * dispatch_run. */
enum outcome command_run(struct session *s, const struct request *r, uint64_t *ticks);
