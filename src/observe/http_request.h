/* The parts of a request's head that decide whether it is unambiguous: its framing, and its host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/util/slice.h"

/* Call http_request_header() for each header, in order. */
struct http_request {
	const char *end; /* end of the part of the head that was read; at first the end of the request line */
	unsigned hosts, lengths, codings; /* number of headers of these names */
	const char *host;                 /* NULL: none */
	bool malformed;
};

/* Checks a header. `value` has `value_len` bytes and a NUL behind them. `name` and `value` point into the head, in
 * which a NUL replaces the colon and each byte of a line end. If libmicrohttpd joined a header from several lines, or
 * cut it at a NUL, it does not follow the header before it directly. */
void http_request_header(struct http_request *r, struct slice name, const char *value, size_t value_len);
/* Returns whether the length of the body and the host are unambiguous (RFC 9112, sections 3.2 and 6.3): two servers
 * must not see different requests in the same bytes. `version` is "HTTP/1.1". `end` points behind the empty line. */
bool http_request_valid(const struct http_request *r, const char *version, const char *end);

/* Returns the path of a target. For "http://host/path" it also sets `*host`. */
const char *http_target_path(const char *target, struct slice *host);
