/* The hook of the row of SET. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* struct command.call_key_flags of SET: the flags depend on its options. */
uint16_t set_key_flags(const struct slice *argv, uint32_t argc);
