/* Reads values in the format of an RDB file. The input is untrusted. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"
#include "atomdb/util/number.h"
#include "atomdb/util/slice.h"

/* The remaining bytes. */
struct rdb_reader {
	const unsigned char *p;
	size_t left;
};

/* Reads `n` bytes, at most 8, as a number. Returns false if fewer remain. */
bool rdb_take(struct rdb_reader *c, unsigned n, bool low_first, uint64_t *value);
/* Reads a string. `*value` points into the input, to `text`, or into `room`, an empty buffer that takes at most `most`
 * bytes of a compressed string. Returns 0; ATOMDB_E_SYNTAX if it is not a string, or is incomplete; ATOMDB_E_OOM for
 * more than `most` bytes; or -ENOMEM. */
int rdb_take_string(struct rdb_reader *c, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		    struct slice *value);
