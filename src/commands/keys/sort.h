/* The hook of the row of SORT. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* struct key_spec.find of SORT: the key behind STORE. */
uint32_t sort_store_key(const struct slice *argv, uint32_t argc);
