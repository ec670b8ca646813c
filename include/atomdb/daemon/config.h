/* The configuration: read from a libconfig file into plain structs, with every key checked against one table. */
#pragma once

#include "atomdb/daemon/config_fields.h"

/* Reads the file at `path`, or the built-in defaults if it is NULL. Takes relative secret_file paths from
 * `credentials`, a directory, or refuses them if it is NULL. Sets `*out` to a complete and checked configuration, which
 * the caller frees. Returns 0, ATOMDB_E_SYNTAX, -ENOMEM, or the -errno of the file. On failure `error` has the reason.
 */
int config_load(const char *path, const char *credentials, struct config **out, struct config_error *error);

/* The same for text in memory, which need not end in a NUL. Messages call it `name`. */
int config_parse(const char *text, size_t len, const char *name, const char *credentials, struct config **out,
		 struct config_error *error);

/* Frees the configuration and wipes its digests. NULL is fine. */
void config_free(struct config *c);
