/* Redis's glob-style patterns: '*', '?', '[a-z]', '[^a]', '\x'.
 *
 * Matching follows the results of Redis 7.0's stringmatchlen for every pattern, but takes time linear in
 * pattern times text in the worst case, never exponential: on a mismatch only the last '*' is retried. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/slice.h"

/* Whether `pattern` matches the whole of `text`; `nocase` ignores ASCII case. As in Redis, an empty text is matched by
 * the empty pattern alone, not by "*": KEYS and SCAN must take "*" for "everything" without asking here. */
bool glob_match(struct slice pattern, struct slice text, bool nocase);
