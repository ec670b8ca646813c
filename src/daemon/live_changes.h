/* Live changes of the operator, which the configuration file does not have. The file wins at the next reload, and the
 * log says so for each change. */
#pragma once

#include <stdbool.h>

struct config;
struct daemon;

/* Notes that `what`, a key, LIVE_CREATED or LIVE_DROPPED, of `tenant` was changed. "": a key of the server. */
void live_changes_note(struct daemon *d, const char *tenant, const char *what);
/* Forgets the changes of a tenant. Returns true if it was created live. */
bool live_changes_forget_tenant(struct daemon *d, const char *tenant);
/* Logs each change that `file` ends, and forgets all. Call it before `file` replaces d->config. */
void live_changes_end(struct daemon *d, const struct config *file);
void live_changes_free(struct daemon *d);
