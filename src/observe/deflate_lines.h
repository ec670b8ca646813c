/* Deflate for long pages whose lines resemble the line above: several times faster than a general compressor. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"

/* Appends the page as a complete deflate stream (RFC 1951). Returns 0, or -ENOMEM with nothing appended. */
int deflate_lines(struct slice page, struct buffer *out);
