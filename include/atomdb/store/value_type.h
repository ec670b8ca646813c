/* The types of values: what the commands for keys of any type know about each of them.
 *
 * The rows are in src/store/value/types.def. A command of one type calls the functions of that type directly, such as
 * string_value(); only code for values of any type goes through this table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/rdb/payload.h"
#include "atomdb/store/key.h"

struct buffer;
struct digest;
struct entry;
struct shard;
struct tenant;

/* Memory for a value that is dumped or restored: an empty buffer, and the most bytes that it may take. */
struct value_room {
	struct buffer *buffer;
	size_t most;
};

/* One type. An optional hook may be NULL. */
struct value_type {
	const char *name;   /* TYPE, SCAN TYPE */
	unsigned number;    /* Redis's number of the type: DEBUG DIGEST */
	uint32_t rdb_types; /* the types in an RDB file that restore() reads: bit n is type n */

	/* Returns Redis's name of the value's encoding. */
	const char *(*encoding)(const struct entry *e);
	/* Optional. Returns the bytes that the value holds outside the block of its entry: MEMORY USAGE. */
	size_t (*memory)(const struct tenant *t, const struct entry *e);
	/* Recovery: returns whether the value is one that this release writes. No byte of it is trusted, but it lies
	 * within the block of the entry. */
	bool (*is_sound)(const struct entry *e);
	/* Optional. COPY: `stored` is a copy of the stored bytes of `e`, which the hook changes so that it shares
	 * nothing outside the entry with `e`. It must not evict `e`. Returns 0, or a negative error. */
	int (*copy)(struct tenant *t, const struct entry *e, char *stored);
	/* Optional. Frees what the value holds outside its entry, which is gone: deleted, expired, evicted, dropped or
	 * overwritten. Not called if the value has moved to another entry. */
	void (*free)(struct shard *s, struct slice stored);
	/* DUMP: appends type and value as an RDB file has them. Returns 0, or ATOMDB_E_OOM. */
	int (*dump)(const struct tenant *t, const struct entry *e, struct value_room room);
	/* RESTORE: sets `key` to a value of one of `rdb_types`. `old`, `deadline` and the results are those of
	 * string_set(), and ATOMDB_E_SYNTAX: the bytes are not such a value. */
	int (*restore)(struct tenant *t, const struct key *key, struct entry *old, int64_t deadline,
		       const struct payload *payload, struct value_room room);
	/* Mixes the value into a digest, as Redis does: DEBUG DIGEST. */
	void (*digest)(const struct tenant *t, const struct entry *e, struct digest *d);
};

/* The types of a shard by tag (enum entry_tag). A row without a name is no type. */
struct value_types {
	const struct value_type *rows;
	size_t count;
};

/* Returns the type of an entry of the tenant. A tag that this release does not know gives a type named "unknown", which
 * cannot be copied or dumped. */
const struct value_type *value_type_of(const struct tenant *t, const struct entry *e);
/* Returns the type that restores RDB type `rdb_type`, or NULL. */
const struct value_type *value_type_for_rdb(const struct tenant *t, unsigned rdb_type);
