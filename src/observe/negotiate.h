/* Content negotiation (RFC 9110, section 12.5). */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"

/* A form of a response. */
struct media_type {
	const char *name; /* "text/plain" */
	const char *version;
};

/* Returns the index of the type that an Accept header (NULL: missing) prefers by weight. Between equal weights, it
 * prefers a type that is named over a type that a star matches, then types[0], then the first. A range names its
 * version, or includes every version. Returns 0 if the header accepts no type. Ignores elements with a malformed
 * weight. */
unsigned negotiate_type(const char *accept, const struct media_type *types, unsigned count);

enum content_coding {
	CODING_NONE,
	CODING_ALLOWED,
	CODING_NEEDED, /* the client refuses the plain form */
};

/* Returns the compression that an Accept-Encoding header (NULL: missing) allows. CODING_NONE also if it prefers the
 * plain form or does not name gzip. */
enum content_coding negotiate_coding(const char *accept_encoding);

/* Replaces the bytes by their gzip form (RFC 1952). Returns 0, or -ENOMEM with nothing changed. */
int negotiate_gzip(struct buffer *body);
/* The same for a long page whose lines resemble the line above: a larger result in a fraction of the time. */
int negotiate_gzip_lines(struct buffer *body);
