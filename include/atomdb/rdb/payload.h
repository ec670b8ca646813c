/* The payload of DUMP and RESTORE: a value in the format of Redis's RDB files, its version, and a checksum. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/number.h"
#include "atomdb/util/slice.h"

/* Bytes of the longest string. */
#define RDB_STRING_MAX ((size_t)512 << 20)

/* Appends the payload of a string to `out`; 0, or -ENOMEM. */
int payload_write(struct buffer *out, struct slice value);

/* Reads the string of a payload. `*value` points into the payload, to `text`, or into `room`, an empty buffer that is
 * filled with at most `most` bytes where the string is compressed. 0; ATOMDB_E_FORMAT where version or checksum are
 * wrong, ATOMDB_E_SYNTAX where what they protect is not a string, not whole, or has something behind it; ATOMDB_E_OOM
 * for more than `most`; -ENOMEM. */
int payload_read(struct slice payload, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		 struct slice *value);
