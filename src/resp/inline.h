/* The quoting rules of inline commands, which people type into telnet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/util/slice.h"

/* Skips blanks at `*p`; whether an argument begins there before `end`. */
bool inline_next(const char **p, const char *end);

/* Reads the argument at `*p`, at least one byte, and appends its unquoted bytes to `*out`, which needs room for at most
 * as many bytes as are read. Moves both. Returns false where a quote is not closed, or not followed by a blank. */
bool inline_argument(const char **p, const char *end, char **out);
