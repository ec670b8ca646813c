/* Strings in the format of Redis's RDB files. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/number.h"
#include "atomdb/util/slice.h"

/* The RDB type of a string. */
#define RDB_TYPE_STRING 0
/* Maximum length of a string in bytes. */
#define RDB_STRING_MAX ((size_t)512 << 20)

/* Appends type and value of a string to `out`. Returns 0 or -ENOMEM. */
int rdb_write_string(struct buffer *out, struct slice value);

/* Reads a string that takes all of `bytes`. `*value` points into `bytes`, to `text`, or into `room`, an empty buffer
 * that takes at most `most` bytes of a compressed string. Returns 0; ATOMDB_E_SYNTAX: not a string, not whole, or
 * followed by other bytes; ATOMDB_E_OOM: more than `most`; -ENOMEM. */
int rdb_read_string(struct slice bytes, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		    struct slice *value);
