/* Responses: headers, and the compression of the body. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>

#include "atomdb/util/buffer.h"

/* The Content-Security-Policy of all responses except the page. */
#define HTTP_CLOSED_POLICY "default-src 'none'; frame-ancestors 'none'"

struct http_response {
	unsigned status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy */
	const char *coding; /* the request's Accept-Encoding, or NULL */
	bool last;          /* close the connection after the response */
};

/* Makes a response from `body`, whose bytes it takes over. Compresses it if the client accepts that and the body is
 * large enough. Sets `body->len` to the number of bytes to send. Returns NULL if there is no memory. The caller
 * destroys the response. */
struct MHD_Response *http_response_new(const struct http_response *r, struct buffer *body);
