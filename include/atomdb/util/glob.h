/* Redis's glob-style patterns: '*', '?', '[a-z]', '[^a]', '\x'.
 *
 * Matching follows the results of Redis 7.0's stringmatchlen for every pattern, but takes time linear in
 * pattern times text in the worst case, never exponential: on a mismatch only the last '*' is retried. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Whether `pattern` matches the whole of `text`; `nocase` ignores ASCII case. As in Redis, an empty text is matched by
 * the empty pattern alone, not by "*": KEYS and SCAN must take "*" for "everything" without asking here. */
bool glob_match(struct slice pattern, struct slice text, bool nocase);

/* The same for patterns and texts that both may be long. What goes beyond the time that a match of this text usually
 * takes comes off `*work`, in bytes of the pattern looked at; when there is none left it is 0 and nothing matches. */
bool glob_match_within(struct slice pattern, struct slice text, bool nocase, uint64_t *work);
