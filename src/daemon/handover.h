/* Hands the clients of the workers over to the next process, in a frame around one record of named fields.
 *
 *   magic | version | length of the record | its CRC | record: next client's id, tenants, clients */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/serialize.h"

struct daemon;

/* Version of the frame and of the form of records (serialize.h). A new field needs no new version. A test build may set
 * another number to act as another release. */
#ifndef ATOMDB_HANDOVER_VERSION
#define ATOMDB_HANDOVER_VERSION 3
#endif

#define HANDOVER_HEADER (4 * sizeof(uint64_t))

/* Write the header into an empty buffer, and complete it after the record. */
void handover_begin(struct serializer *out);
void handover_end(struct serializer *out);
/* Checks the header and finds the record. Pure. If the state has version HANDOVER_POSITIONAL, converts it to a record
 * in `converted`, which is empty before. Returns 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION, ATOMDB_E_TRUNCATED,
 * ATOMDB_E_CHECKSUM or -ENOMEM. */
int handover_open(struct slice bytes, struct buffer *converted, struct slice *record);

/* Hands the clients over to the next process. The workers are frozen and joined. Returns the number of clients. */
size_t handover_leave_clients(struct daemon *d);
/* Restores the clients of the previous process. Call it before the workers start. */
void handover_resume_clients(struct daemon *d);
