/* The parts of a request's head that decide whether it may be answered: its framing, and the host that it is for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/util/slice.h"

/* Filled by one http_request_header() for each header, in their order. */
struct http_request {
	const char *end;                  /* of the part of the head that was read; at first of the request line */
	unsigned hosts, lengths, codings; /* headers of these names */
	const char *host;                 /* NULL: none */
	bool malformed;
};

/* `value` is of `value_len` bytes, and a NUL behind them. `name` and `value` are in the head itself, where a NUL stands
 * for the colon and for each byte of a line's end: a header that libmicrohttpd put together from several lines, or cut
 * at a NUL, does not follow the one before it. */
void http_request_header(struct http_request *r, struct slice name, const char *value, size_t value_len);
/* Returns whether the length of the body and the host are beyond doubt (RFC 9112, sections 3.2 and 6.3): two readers
 * must not see two requests in the same bytes. `version` is "HTTP/1.1", `end` is behind the empty line. */
bool http_request_valid(const struct http_request *r, const char *version, const char *end);

/* The path of a target: of "http://host/path" what is behind the host, which `*host` is set to. */
const char *http_target_path(const char *target, struct slice *host);
