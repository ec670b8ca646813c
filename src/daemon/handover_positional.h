/* Reads the state of releases up to version 2, whose fields had no names but followed each other. */
#pragma once

#include "atomdb/util/serialize.h"

#define HANDOVER_POSITIONAL 2

/* Writes the record that this release would have written. `bytes` may be any bytes; pure. 0, ATOMDB_E_FORMAT or
 * -ENOMEM. */
int handover_from_positional(struct slice bytes, struct buffer *record);
