/* The table that is made of types.def. */
#pragma once

#include "atomdb/store/value_type.h"

extern const struct value_types value_types;
