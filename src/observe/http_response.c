#include "observe/http_response.h"

#include <stdlib.h>

#include "observe/negotiate.h"

/* Minimum size of a body that is compressed. */
#define GZIP_MIN ((size_t)1 << 10)
/* Maximum size of a body that zlib compresses: a megabyte would block the loop for 10 ms. */
#define GZIP_CARE ((size_t)256 << 10)

static bool add_headers(struct MHD_Response *response, const struct http_response *r, bool compressed) {
	bool allow = r->status == MHD_HTTP_METHOD_NOT_ALLOWED, challenge = r->status == MHD_HTTP_UNAUTHORIZED;
	return MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type) == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
	       MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
	       MHD_add_response_header(response, "Content-Security-Policy", r->policy) == MHD_YES &&
	       MHD_add_response_header(response, "Referrer-Policy", "no-referrer") == MHD_YES &&
	       MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding") == MHD_YES &&
	       (!compressed ||
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip") == MHD_YES) &&
	       (!challenge || (MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						       "Bearer realm=\"AtomDB\"") == MHD_YES &&
			       MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						       "Basic realm=\"AtomDB\", charset=\"UTF-8\"") == MHD_YES)) &&
	       (!r->last || MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES) &&
	       (!allow || MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES);
}

/* Compresses the body if the client accepts it and the body is large enough. Returns whether it did. */
static bool compress(struct buffer *body, const char *accept_encoding) {
	enum content_coding coding = negotiate_coding(accept_encoding);
	if (coding != CODING_NEEDED && (coding != CODING_ALLOWED || body->len < GZIP_MIN))
		return false;
	return (body->len <= GZIP_CARE ? negotiate_gzip(body) : negotiate_gzip_lines(body)) == 0;
}

static void free_body(void *body) {
	buffer_deinit(body);
	free(body);
}

/* Takes the bytes over from `body`. Returns NULL without memory. */
static struct MHD_Response *response_of(struct buffer *body) {
	struct buffer *owned = malloc(sizeof(*owned));
	if (owned == NULL)
		return NULL;
	*owned = *body;
	struct MHD_Response *response =
		MHD_create_response_from_buffer_with_free_callback_cls(body->len, body->data, free_body, owned);
	if (response == NULL)
		free(owned);
	return response;
}

struct MHD_Response *http_response_new(const struct http_response *r, struct buffer *body) {
	bool compressed = compress(body, r->coding);
	struct MHD_Response *response = response_of(body);
	if (response == NULL) {
		buffer_deinit(body);
		return NULL;
	}
	if (add_headers(response, r, compressed))
		return response;
	MHD_destroy_response(response);
	return NULL;
}
