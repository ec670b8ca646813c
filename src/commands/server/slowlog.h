/* Entries of the slow log as replies. */
#pragma once

#include "atomdb/session/tenant_stats.h"

/* Replies with an entry as SLOWLOG GET shows it. `tenant` is its tenant's name for the operator, NULL for others. */
void slowlog_reply_entry(struct writer *w, const struct slow_entry *e, const char *tenant);
