/* Every element of a pattern except '*' takes exactly one byte of the text. If a mismatch follows a '*', the matcher
 * lets the last '*' take one byte more. An earlier '*' need not be retried: it could only leave less text for the last
 * one. So the matcher keeps one position to return to, and the work is at most pattern length times text length. */
#include "atomdb/util/glob.h"

#include <stddef.h>

#include "atomdb/util/fiber.h"

static inline int lower(int c) {
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Bytes are signed, as in Redis: this changes the content of ranges with bytes above 0x7f. */
static inline int byte_at(struct slice s, size_t at) {
	return (signed char)s.data[at];
}

static inline bool in_range(int first, int last, int c, bool nocase) {
	if (first > last) {
		int swap = first;
		first = last;
		last = swap;
	}
	if (nocase) {
		first = lower(first);
		last = lower(last);
		c = lower(c);
	}
	return c >= first && c <= last;
}

/* Steps between two check points. */
#define CHECK_STEPS 4096

/* Returns true if the class contains `c`. The class begins at `*at`, after the '['. Advances `*at` past the class. The
 * end of the pattern closes an open class. As in Redis, `nocase` does not apply to an escaped byte. */
static bool class_takes(struct slice pattern, size_t *at, int c, bool nocase, bool sliced) {
	size_t i = *at, unchecked = 0;
	bool negated = i < pattern.len && pattern.data[i] == '^';
	if (negated)
		i++;
	bool found = false;
	for (; i < pattern.len; i++) {
		size_t left = pattern.len - i;
		int p = byte_at(pattern, i);
		if (sliced)
			(void)fiber_check_every(&unchecked, 1, CHECK_STEPS);
		if (p == '\\' && left >= 2) {
			i++;
			found |= byte_at(pattern, i) == c;
		} else if (p == ']') {
			i++;
			break;
		} else if (left >= 3 && pattern.data[i + 1] == '-') {
			found |= in_range(p, byte_at(pattern, i + 2), c, nocase);
			i += 2;
		} else {
			found |= nocase ? lower(p) == lower(c) : p == c;
		}
	}
	*at = i;
	return found != negated;
}

/* Returns true if the element at `*at` matches `c`, and advances `*at` past it. The element is not a '*'. */
static inline bool element_takes(struct slice pattern, size_t *at, int c, bool nocase, bool sliced) {
	int p = byte_at(pattern, (*at)++);
	if (p == '?')
		return true;
	if (p == '[')
		return class_takes(pattern, at, c, nocase, sliced);
	if (p == '\\' && *at < pattern.len)
		p = byte_at(pattern, (*at)++);
	return nocase ? lower(p) == lower(c) : p == c;
}

/* Fixed cost of a call, in steps. */
#define CALL 16
/* The allowance of glob_match_usual(): USUAL steps, and USUAL_PER_BYTE for each of the first USUAL_BYTES bytes of the
 * text. */
#define USUAL          64
#define USUAL_PER_BYTE 2
#define USUAL_BYTES    1024

static inline bool spend(uint64_t *work, uint64_t steps) {
	*work = *work > steps ? *work - steps : 0;
	return *work != 0;
}

/* `sliced`: there are check points. */
static inline __attribute__((always_inline)) bool match(struct slice pattern, struct slice text, bool nocase,
							uint64_t *work, bool sliced) {
	const size_t none = pattern.len + 1;
	size_t p = 0, t = 0, unchecked = 0;
	size_t star = none; /* position after the last '*' */
	size_t star_text = 0;

	if (!spend(work, CALL))
		return false;
	if (text.len == 0)
		return pattern.len == 0;
	while (t < text.len) {
		size_t from = p;
		if (p < pattern.len && pattern.data[p] == '*') {
			do
				p++;
			while (p < pattern.len && pattern.data[p] == '*' && p - from < CHECK_STEPS);
			if (p == pattern.len)
				return true;
			star = p;
			star_text = t;
			if (!spend(work, p - from) || (sliced && fiber_check_every(&unchecked, p - from, CHECK_STEPS)))
				return false;
			continue;
		}
		bool takes = p < pattern.len && element_takes(pattern, &p, byte_at(text, t), nocase, sliced);
		size_t steps = p > from ? p - from : 1;
		if (!spend(work, steps) || (sliced && fiber_check_every(&unchecked, steps, CHECK_STEPS)))
			return false;
		if (takes) {
			t++;
			continue;
		}
		if (star == none)
			return false;
		p = star;
		t = ++star_text;
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}

bool glob_match(struct slice pattern, struct slice text, bool nocase, uint64_t *work) {
	return match(pattern, text, nocase, work, false);
}

bool glob_match_sliced(struct slice pattern, struct slice text, bool nocase, uint64_t *work) {
	return match(pattern, text, nocase, work, true);
}

bool glob_match_usual(struct slice pattern, struct slice text, bool nocase, uint64_t *work) {
	const uint64_t bytes = text.len < USUAL_BYTES ? text.len : USUAL_BYTES;
	uint64_t left = *work + USUAL + bytes * USUAL_PER_BYTE;
	bool matches = glob_match_sliced(pattern, text, nocase, &left);
	if (left < *work)
		*work = left;
	return matches;
}

/* In the worst case, each byte of the text causes a mismatch that repeats the longest part between two '*'. */
bool glob_is_costly(struct slice pattern) {
	size_t longest = 0, begin = pattern.len, unchecked = 0;
	for (size_t p = 0; p < pattern.len;) {
		(void)fiber_check_every(&unchecked, 1, CHECK_STEPS);
		if (pattern.data[p] == '*')
			begin = ++p;
		else
			(void)element_takes(pattern, &p, 0, false, true);
		if (begin < p && p - begin > longest)
			longest = p - begin;
	}
	return pattern.len >= GLOB_WORK || (longest + 1) * (uint64_t)pattern.len > GLOB_WORK;
}
