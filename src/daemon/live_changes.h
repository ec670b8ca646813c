/* Live changes by the operator, which the configuration file does not have. The next reload replaces them by the file's
 * values, and logs each change. */
#pragma once

#include <stdbool.h>

struct config;
struct daemon;

/* Records a change of `what` (a key, LIVE_CREATED or LIVE_DROPPED) of `tenant`. If `tenant` is "", the key belongs to
 * the server. */
void live_changes_note(struct daemon *d, const char *tenant, const char *what);
/* Forgets the changes of a tenant. Returns true if it was created live. */
bool live_changes_forget_tenant(struct daemon *d, const char *tenant);
/* Logs the changes that `file` ends, and forgets all changes. Call it before `file` replaces d->config. */
void live_changes_end(struct daemon *d, const struct config *file);
void live_changes_free(struct daemon *d);
