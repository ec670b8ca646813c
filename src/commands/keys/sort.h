/* The key that SORT writes. */
#pragma once

#include "atomdb/util/slice.h"

/* The argument that is the key of SORT's last STORE; 0: it has none. */
uint32_t sort_destination(const struct slice *argv, uint32_t argc);
