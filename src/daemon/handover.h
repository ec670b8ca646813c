/* The state that the process before left: a frame around one record of named fields.
 *
 *   magic | version | length of the record | its CRC | record: next client's id, tenants, clients */
#pragma once

#include <stdint.h>

#include "atomdb/util/serialize.h"

/* Raised if the frame or the form of records (serialize.h) changes; new fields need no new version. A build of another
 * number stands for another release in the tests. */
#ifndef ATOMDB_HANDOVER_VERSION
#define ATOMDB_HANDOVER_VERSION 3
#endif

#define HANDOVER_HEADER (4 * sizeof(uint64_t))

/* Begins the state in an empty buffer, and ends it when all is written. */
void handover_begin(struct serializer *out);
void handover_end(struct serializer *out);
/* Finds the record, once the header has been checked; pure. A state of version HANDOVER_POSITIONAL is written as a
 * record in `converted`, which is empty before. 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION, ATOMDB_E_TRUNCATED,
 * ATOMDB_E_CHECKSUM, -ENOMEM. */
int handover_open(struct slice bytes, struct buffer *converted, struct slice *record);
