/* The quoting rules of inline commands, as typed in telnet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/util/slice.h"

/* Skips blanks at `*p`. Returns true if an argument begins before `end`. */
bool inline_next(const char **p, const char *end);

/* Reads the argument at `*p`, at least one byte, and appends its unquoted bytes to `*out`. `*out` has room for as many
 * bytes as the argument. Advances both pointers. Returns false if a quote is not closed, or a closing quote is not
 * followed by a blank. */
bool inline_argument(const char **p, const char *end, char **out);
