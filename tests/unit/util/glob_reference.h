/* stringmatchlen() of Redis 7.0, without its limit on recursion: the reference for glob_match(). Its time is
 * exponential, so it is for short patterns only. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/slice.h"

static int reference_lower(char c) {
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static bool reference_equal(char a, char b, bool nocase) {
	return nocase ? reference_lower(a) == reference_lower(b) : a == b;
}

/* Reads the class after the '[' at `p`. Returns the position of its ']', or of its last byte if it has none. */
static const char *reference_class(const char *p, const char *end, char c, bool nocase, bool *takes) {
	bool negated = ++p < end && *p == '^', found = false;
	for (p += negated; p < end && *p != ']'; p++) {
		if (end - p >= 2 && *p == '\\') {
			found |= *++p == c;
		} else if (end - p >= 3 && p[1] == '-') {
			char low = p[0] < p[2] ? p[0] : p[2], high = p[0] < p[2] ? p[2] : p[0];
			/* As in Redis, the bounds are ordered before they are converted to lower case. */
			found |= nocase ? reference_lower(c) >= reference_lower(low) &&
						  reference_lower(c) <= reference_lower(high)
					: c >= low && c <= high;
			p += 2;
		} else {
			found |= reference_equal(*p, c, nocase);
		}
	}
	*takes = found != negated;
	return p < end ? p : end - 1;
}

static bool reference_match(const char *p, const char *end, const char *t, const char *last, bool nocase) {
	while (p < end && t < last) {
		bool takes = true;
		if (*p == '*') {
			while (p + 1 < end && p[1] == '*')
				p++;
			if (p + 1 == end)
				return true;
			for (; t < last; t++) {
				if (reference_match(p + 1, end, t, last, nocase))
					return true;
			}
			return false;
		}
		if (*p == '[') {
			p = reference_class(p, end, *t, nocase, &takes);
		} else if (*p != '?') {
			p += *p == '\\' && end - p >= 2;
			takes = reference_equal(*p, *t, nocase);
		}
		if (!takes)
			return false;
		p++;
		if (++t == last) {
			while (p < end && *p == '*')
				p++;
		}
	}
	return p == end && t == last;
}

static inline bool reference_glob(struct slice pattern, struct slice text, bool nocase) {
	return reference_match(pattern.data, pattern.data + pattern.len, text.data, text.data + text.len, nocase);
}
