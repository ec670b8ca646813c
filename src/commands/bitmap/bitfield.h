/* The hook of the row of BITFIELD. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* struct command.call_key_flags of BITFIELD: the flags depend on its operations. */
uint16_t bitfield_key_flags(const struct slice *argv, uint32_t argc);
