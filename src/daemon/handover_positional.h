/* Reads the state of releases up to version 2, in which fields have a fixed order and no names. */
#pragma once

#include "atomdb/util/serialize.h"

#define HANDOVER_POSITIONAL 2

/* Writes the record that this release would have written. `bytes` may be any bytes. Pure. Returns 0, ATOMDB_E_FORMAT or
 * -ENOMEM. */
int handover_from_positional(struct slice bytes, struct buffer *record);
