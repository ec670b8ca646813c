/* The hook of the rows of TENANT CREATE and TENANT SET. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* struct command.is_secret of TENANT CREATE and TENANT SET. */
bool tenant_is_secret(const struct slice *argv, uint32_t i);
