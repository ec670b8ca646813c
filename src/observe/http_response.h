/* Responses: headers, and the compression of the body. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>

#include "atomdb/util/buffer.h"

/* The Content-Security-Policy of everything but the page. */
#define HTTP_CLOSED_POLICY "default-src 'none'; frame-ancestors 'none'"

struct http_response {
	unsigned status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy */
	const char *coding; /* the request's Accept-Encoding, or NULL */
	bool last;          /* the connection is closed after it */
};

/* Makes a response of `body`, whose bytes it takes over, and which is compressed if the client accepts that and it is
 * worth it. Sets `body->len` to the bytes that are sent. Returns NULL without memory. The caller destroys the response.
 */
struct MHD_Response *http_response_new(const struct http_response *r, struct buffer *body);
