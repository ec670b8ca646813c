/* What a client accepts, from the heads of its request (RFC 9110, section 12.5). */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"

/* Whether the value of Accept or Accept-Encoding (NULL where there is none) names `what`, in any case, and does not
 * give it a weight of 0. A star does not name it: who says nothing special gets what is plain. */
bool negotiate_accepts(const char *header, const char *what);

/* Replaces the bytes by their gzip form (RFC 1952). 0, or -ENOMEM and nothing is changed. */
int negotiate_gzip(struct buffer *body);
/* The same for a long page of lines that are much like the line above: larger, in a fraction of the time. */
int negotiate_gzip_lines(struct buffer *body);
