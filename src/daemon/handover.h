/* Hands the clients of the workers over to the next process, in a frame around one record of named fields.
 *
 *   magic | version | length of the record | its CRC | record: next client's id, tenants, clients */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/serialize.h"

struct daemon;

/* Raise it if the frame or the form of records (serialize.h) changes. New fields need no new version. Tests build
 * another release by another number. */
#ifndef ATOMDB_HANDOVER_VERSION
#define ATOMDB_HANDOVER_VERSION 3
#endif

#define HANDOVER_HEADER (4 * sizeof(uint64_t))

/* Begins the frame in an empty buffer, and ends it after the record. */
void handover_begin(struct serializer *out);
void handover_end(struct serializer *out);
/* Checks the header of `bytes` and finds the record. Pure. `converted` is empty, and owned by the caller: a state of
 * version HANDOVER_POSITIONAL is rewritten there as a record. Returns 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION,
 * ATOMDB_E_TRUNCATED, ATOMDB_E_CHECKSUM or -ENOMEM. */
int handover_open(struct slice bytes, struct buffer *converted, struct slice *record);

/* Leaves the clients to the next process. The workers are frozen and joined. Returns the number of clients. */
size_t handover_leave_clients(struct daemon *d);
/* Restores the clients that the process before left. Call it before the workers start. */
void handover_resume_clients(struct daemon *d);
