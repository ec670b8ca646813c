/* Reads the configuration from a libconfig file into plain structs. One table describes and checks every key. */
#pragma once

#include "atomdb/daemon/config_fields.h"

/* Reads the file at `path`, or the built-in defaults if it is NULL. Resolves relative secret_file paths in the
 * directory `credentials`, or refuses them if it is NULL. Sets `*out` to a complete and checked configuration, which
 * the caller frees. Returns 0, ATOMDB_E_SYNTAX, -ENOMEM, or the -errno of the file. On failure `error` has the reason.
 */
int config_load(const char *path, const char *credentials, struct config **out, struct config_error *error);

/* Like config_load, for text in memory, which need not end in a NUL. Messages call it `name`. */
int config_parse(const char *text, size_t len, const char *name, const char *credentials, struct config **out,
		 struct config_error *error);

/* Frees the configuration and wipes its digests. NULL is allowed. */
void config_free(struct config *c);
