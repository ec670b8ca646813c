/* The documented configuration file, and the keys that take effect only at a restart. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct config;

/* Writes the commented file with every key at its default (conf/atomdb.conf). Comments out the keys unless `active` is
 * set. */
void config_document(FILE *out, bool active);
/* Calls `changed` with "section.key" for each key that differs and takes effect only at a restart. Returns their
 * number. */
unsigned config_needs_restart(const struct config *running, const struct config *wanted,
			      void (*changed)(void *context, const char *key), void *context);
