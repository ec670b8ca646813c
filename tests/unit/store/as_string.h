/* A shortcut for tests that know what they wrote. */
#pragma once

#include "atomdb/store/string.h"

/* The string that an entry holds. NULL for NULL. */
static inline struct string *as_string(const struct entry *e) {
	return (struct string *)(uintptr_t)e;
}
