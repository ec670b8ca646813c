/* The hooks of the rows of AUTH and HELLO. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* struct command.is_secret of AUTH and of HELLO. */
bool auth_is_secret(const struct slice *argv, uint32_t i);
bool hello_is_secret(const struct slice *argv, uint32_t i);
