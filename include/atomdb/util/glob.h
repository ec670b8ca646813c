/* Redis's glob-style patterns: '*', '?', '[a-z]', '[^a]', '\x'.
 *
 * The result equals that of stringmatchlen() of Redis 7.0 for every pattern. The time is at most proportional to
 * pattern length times text length, never exponential: only the last '*' is retried after a mismatch. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Maximum number of steps that the patterns of one command may take. A step examines one byte of the pattern, in one to
 * three nanoseconds. */
#define GLOB_WORK ((uint64_t)1 << 21)

/* Returns true if `pattern` matches the whole of `text`. `nocase` ignores ASCII case. As in Redis, "*" does not match
 * an empty text, only the empty pattern does: KEYS and SCAN handle "*" themselves.
 *
 * Subtracts the steps and the fixed cost of the call from `*work`. If `*work` reaches 0, the result is false. */
bool glob_match(struct slice pattern, struct slice text, bool nocase, uint64_t *work);

/* The same with check points: see fiber.h. */
bool glob_match_sliced(struct slice pattern, struct slice text, bool nocase, uint64_t *work);

/* Like glob_match_sliced(), for a command that examines all texts anyway (KEYS). Subtracts only the steps beyond those
 * of a usual pattern from `*work`. */
bool glob_match_usual(struct slice pattern, struct slice text, bool nocase, uint64_t *work);

/* Returns true if the pattern may take more than GLOB_WORK steps for a text of its own length. */
bool glob_is_costly(struct slice pattern);
