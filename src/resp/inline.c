#include "resp/inline.h"

static inline bool blank(char c) {
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline int hex_digit(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool inline_next(const char **p, const char *end) {
	while (*p < end && blank(**p))
		(*p)++;
	return *p < end;
}

/* Reads the escape sequence that begins with the backslash at `p`. At least one byte follows it. Returns its end. */
static const char *escape(const char *p, const char *end, char *byte) {
	if (end - p >= 4 && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
		*byte = (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
		return p + 4;
	}
	switch (p[1]) {
	case 'n':
		*byte = '\n';
		break;
	case 'r':
		*byte = '\r';
		break;
	case 't':
		*byte = '\t';
		break;
	case 'b':
		*byte = '\b';
		break;
	case 'a':
		*byte = '\a';
		break;
	default:
		*byte = p[1];
		break;
	}
	return p + 2;
}

/* Reads up to the closing quote. `p` points after the opening one. Returns NULL if no valid closing quote follows. */
static const char *quoted(const char *p, const char *end, char quote, char **out) {
	while (p < end) {
		if (*p == quote)
			return p + 1 == end || blank(p[1]) ? p + 1 : NULL;
		if (*p == '\\' && end - p >= 2 && quote == '"') {
			p = escape(p, end, (*out)++);
		} else if (*p == '\\' && end - p >= 2 && p[1] == '\'') {
			*(*out)++ = '\'';
			p += 2;
		} else {
			*(*out)++ = *p++;
		}
	}
	return NULL;
}

bool inline_argument(const char **at, const char *end, char **out) {
	const char *p = *at;
	/* As in Redis, vertical tab and form feed separate arguments but do not end one. */
	while (p < end && *p != ' ' && *p != '\t' && *p != '\r' && *p != '\n') {
		if (*p == '"' || *p == '\'') {
			p = quoted(p + 1, end, *p, out);
			if (p == NULL)
				return false;
			break;
		}
		*(*out)++ = *p++;
	}
	*at = p;
	return true;
}
