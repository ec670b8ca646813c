/* Keys and deadlines, as calls of the store take them. */
#pragma once

#include <stdint.h>

#include "atomdb/util/slice.h"

/* A key of one database, with its hash, computed once by keyspace_key(). */
struct key {
	struct slice name;
	uint64_t hash;
	unsigned db_slot; /* of its database: keyspace_db_slot() */
};

/* A write's deadline: milliseconds since 1970, or one of these. */
#define DEADLINE_NONE ((int64_t)0)  /* the key does not expire, except by default_ttl and max_ttl */
#define DEADLINE_KEEP ((int64_t)-1) /* the key keeps the deadline that it has */
