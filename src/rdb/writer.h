/* Writes values in the format of an RDB file, to a buffer with reserved room. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"
#include "rdb/encoding.h"

/* Room for a string besides its own bytes: its first byte, and two lengths. */
#define RDB_STRING_OVERHEAD (1 + 2 * RDB_LENGTH_BYTES)

void rdb_put_byte(struct buffer *out, unsigned byte);
/* Appends the low `bytes` bytes of `value` (at most 8), in little-endian order. */
void rdb_put_low_first(struct buffer *out, uint64_t value, unsigned bytes);
/* Appends a string, as an integer or compressed if that is shorter. Takes at most RDB_STRING_OVERHEAD bytes more than
 * the string. */
void rdb_put_string(struct buffer *out, struct slice value);
