/* Parameters of CONFIG GET that other commands show too. */
#pragma once

#include "atomdb/store/tenant.h"

/* Returns the value of maxmemory-policy. */
const char *config_policy(const struct tenant *t);
