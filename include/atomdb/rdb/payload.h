/* The payload of DUMP and RESTORE: a value in the format of Redis's RDB files, its version, and a checksum. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/number.h"
#include "atomdb/util/slice.h"

/* Maximum length of a string in bytes. */
#define RDB_STRING_MAX ((size_t)512 << 20)

/* Appends the payload of a string to `out`. Returns 0 or -ENOMEM. */
int payload_write(struct buffer *out, struct slice value);

/* Reads the string of a payload. `*value` points into the payload, to `text`, or into `room`, an empty buffer that
 * takes at most `most` bytes of a compressed string. Returns 0; ATOMDB_E_FORMAT if the version or the checksum is
 * wrong; ATOMDB_E_SYNTAX if the content is not a string, is incomplete, or has bytes behind it; ATOMDB_E_OOM for more
 * than `most` bytes; or -ENOMEM. */
int payload_read(struct slice payload, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		 struct slice *value);
