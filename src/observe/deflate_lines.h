/* Deflate for long pages of lines that are much like the line above, several times as fast as a packer for all there
 * is. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"

/* Appends the page as a whole deflate stream (RFC 1951). 0 or -ENOMEM, and nothing was appended. */
int deflate_lines(struct slice page, struct buffer *out);
