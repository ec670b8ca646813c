/* Content negotiation (RFC 9110, section 12.5). */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"

/* A form that a response can have. */
struct media_type {
	const char *name; /* "text/plain" */
	const char *version;
};

/* The index of the type that an Accept header (NULL: there is none) prefers by weight. Of equal ones it prefers a type
 * that is named to one that a star stands for, then one that is named to types[0], then the first. A range names its
 * version, or means every version. 0 if the header accepts no type. Elements with a malformed weight are ignored. */
unsigned negotiate_type(const char *accept, const struct media_type *types, unsigned count);

enum content_coding {
	CODING_NONE,
	CODING_ALLOWED,
	CODING_NEEDED, /* the client refuses the plain form */
};

/* The compressing that an Accept-Encoding header (NULL: there is none) asks for. CODING_NONE also if it prefers the
 * plain form or does not name gzip. */
enum content_coding negotiate_coding(const char *accept_encoding);

/* Replaces the bytes by their gzip form (RFC 1952). 0, or -ENOMEM and nothing is changed. */
int negotiate_gzip(struct buffer *body);
/* The same for a long page of lines that are much like the line above: larger, in a fraction of the time. */
int negotiate_gzip_lines(struct buffer *body);
