/* The hook of the row of ACL SETUSER. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* struct command.is_secret of ACL SETUSER. */
bool acl_setuser_is_secret(const struct slice *argv, uint32_t i);
