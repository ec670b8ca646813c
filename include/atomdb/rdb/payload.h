/* The payload of DUMP and RESTORE: a value in the format of Redis's RDB files, its version, and a checksum. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"

/* A value in the encoding of an RDB file. */
struct payload {
	unsigned type;      /* its RDB type */
	struct slice value; /* the bytes after the type */
};

/* Appends version and checksum to the payload that begins at `start` of `out`. Returns 0 or -ENOMEM. */
int payload_seal(struct buffer *out, size_t start);

/* Checks version and checksum of a payload. `*payload` points into `bytes`. Returns 0; ATOMDB_E_FORMAT if one of
 * them is wrong; ATOMDB_E_SYNTAX if the payload has no type. */
int payload_open(struct slice bytes, struct payload *payload);
