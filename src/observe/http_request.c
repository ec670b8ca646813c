#include "observe/http_request.h"

#include <stdint.h>

/* Returns whether it is a character of a token (RFC 9110, section 5.6.2). */
static bool is_token(struct slice s) {
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!letter && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.len > 0;
}

static bool is_length(const char *value) {
	size_t digits = strspn(value, "0123456789");
	return digits > 0 && digits < 19 && value[digits] == '\0';
}

/* Returns whether between two positions of the head there are only white space and at most `max` bytes of line ends or
 * NULs. */
static bool adjoin(const char *from, const char *to, unsigned max) {
	for (; (uintptr_t)from < (uintptr_t)to; from++) {
		if (*from == ' ' || *from == '\t')
			continue;
		if ((*from != '\0' && *from != '\r' && *from != '\n') || max-- == 0)
			return false;
	}
	return from == to;
}

void http_request_header(struct http_request *r, struct slice name, const char *value, size_t value_len) {
	if (!is_token(name) || strlen(value) != value_len || strpbrk(value, "\r\n") != NULL)
		r->malformed = true;
	/* A line end has one byte or two. */
	if (!adjoin(r->end, name.data, 2) || !adjoin(name.data + name.len, value, 1))
		r->malformed = true;
	r->end = value + value_len;
	if (slice_is(name, "Host")) {
		r->hosts++;
		r->host = value;
	} else if (slice_is(name, "Content-Length")) {
		r->lengths++;
		r->malformed |= !is_length(value);
	} else if (slice_is(name, "Transfer-Encoding")) {
		r->codings++;
		r->malformed |= !slice_is((struct slice){value, value_len}, "chunked");
	}
}

bool http_request_valid(const struct http_request *r, const char *version, const char *end) {
	bool old = strcmp(version, "HTTP/1.0") == 0;
	if (r->malformed || !adjoin(r->end, end, 4) || r->hosts > 1 || r->lengths + r->codings > 1)
		return false;
	return old ? r->codings == 0 : r->hosts == 1;
}

const char *http_target_path(const char *target, struct slice *host) {
	size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
	if (scheme == 0)
		return target;
	const char *authority = target + scheme, *path = authority + strcspn(authority, "/");
	*host = (struct slice){authority, (size_t)(path - authority)};
	return *path != '\0' ? path : "/";
}
