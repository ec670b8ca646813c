/* Redis's glob-style patterns: '*', '?', '[a-z]', '[^a]', '\x'.
 *
 * Matching follows the results of Redis 7.0's stringmatchlen for every pattern, but takes time linear in
 * pattern times text in the worst case, never exponential: on a mismatch only the last '*' is retried. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Most steps that the patterns of one command may cost: each step looks at one byte of the pattern, and takes one to
 * three nanoseconds. */
#define GLOB_WORK ((uint64_t)1 << 21)

/* Whether `pattern` matches the whole of `text`; `nocase` ignores ASCII case. As in Redis, an empty text is matched by
 * the empty pattern alone, not by "*": KEYS and SCAN must take "*" for "everything" without asking here.
 *
 * The steps come off `*work`, and some for the call. When none is left, it is 0 and nothing matches. */
bool glob_match(struct slice pattern, struct slice text, bool nocase, uint64_t *work);

/* The same for a command that looks at all texts anyway, as KEYS does at all names: only steps beyond those that a
 * usual pattern takes for the text come off `*work`. */
bool glob_match_usual(struct slice pattern, struct slice text, bool nocase, uint64_t *work);

/* Whether the pattern may take more than GLOB_WORK steps for a text of its own length. */
bool glob_is_costly(struct slice pattern);
