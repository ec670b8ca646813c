/* The hook of the row of CONFIG SET, and parameters of CONFIG GET that other commands show too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/slice.h"

/* Returns the value of maxmemory-policy. */
const char *config_policy(const struct tenant *t);

/* struct command.is_secret of CONFIG SET. */
bool config_set_is_secret(const struct slice *argv, uint32_t i);
