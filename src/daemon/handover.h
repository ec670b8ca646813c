/* The clients that the process before left, as bytes: what is around the state of each.
 *
 *   magic | version | length and CRC of the rest | next client's number | tenants | clients */
#pragma once

#include <stdint.h>

#include "atomdb/util/pack.h"

/* Raised with each change of what follows, also in the floors below. A build of another number stands for another
 * release in the tests. */
#ifndef ATOMDB_HANDOVER_VERSION
#define ATOMDB_HANDOVER_VERSION 2
#endif

#define HANDOVER_HEADER (4 * sizeof(uint64_t))

/* Begins the state in an empty buffer, and ends it when all is written. */
void handover_begin(struct pack *p);
void handover_end(struct pack *p);
/* What is behind the header, once that has been checked; pure. 0, ATOMDB_E_FORMAT, ATOMDB_E_VERSION,
 * ATOMDB_E_TRUNCATED, ATOMDB_E_CHECKSUM. */
int handover_open(struct slice bytes, struct unpack *body);
