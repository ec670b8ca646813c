/* Gzip for long pages of lines that are much like the line above, several times as fast as a packer for all there is.
 */
#pragma once

#include "atomdb/util/buffer.h"

/* Replaces the bytes by their gzip. 0 or -ENOMEM, and nothing has changed. */
int lines_gzip(struct buffer *body);
