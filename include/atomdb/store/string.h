/* Strings: the values of GET and SET, of bitmaps and of HyperLogLogs.
 *
 * Every call is for the tenant's own worker. A string has at most STRING_MAX bytes. A pointer to an entry is valid
 * until the next call that writes to the same tenant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/store/key.h"
#include "atomdb/store/keyspace.h"
#include "atomdb/util/slice.h"

/* Bytes of the longest string. */
#define STRING_MAX ((size_t)512 << 20)
/* Bytes of the buffer for the text of a string that is stored as an integer. */
#define STRING_TEXT 24

struct tenant;

/* An entry whose value is a string. */
struct string;

/* Finds the string of `key`: `*found` is NULL if there is no such key. Returns 0, or ATOMDB_E_WRONGTYPE if the key
 * holds a value of another type. Touches and counts as keyspace_find() does. */
int string_find(struct tenant *t, const struct key *key, enum lookup how, struct string **found);

/* The entry, for calls that take a value of any type. NULL for NULL. */
static inline struct entry *string_entry(const struct string *s) {
	return (struct entry *)(uintptr_t)s;
}

/* Returns the bytes of the value: in the arena, or in `text` if the value is stored as an integer. */
struct slice string_value(const struct string *s, char text[STRING_TEXT]);
/* Like string_value(); no bytes if `s` is NULL. */
static inline struct slice string_value_or_empty(const struct string *s, char text[STRING_TEXT]) {
	return s == NULL ? (struct slice){"", 0} : string_value(s, text);
}

/* Sets `key` to `value`, which must not point into the arena. `old`: the present entry of the key, of any type, or NULL
 * if there is none. Evicts other keys if the quota needs it. `deadline`: milliseconds since 1970, DEADLINE_NONE or
 * DEADLINE_KEEP; if it has passed, the key is absent afterwards. Returns 0, or ATOMDB_E_OOM: nothing changed except for
 * evictions. */
int string_set(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline);
/* Like string_set(), but OBJECT ENCODING says raw. */
int string_set_raw(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline);
/* Like string_set(), but OBJECT ENCODING says embstr or raw, even if the value is a number. */
int string_set_text(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline);
/* Adds `amount` to the integer in `old`, or to 0 if `old` is NULL, and writes the sum to `*sum`. The deadline stays.
 * Returns 0; ATOMDB_E_SYNTAX: the value is not an integer; ATOMDB_E_RANGE: the sum overflows; ATOMDB_E_OOM. */
int string_add(struct tenant *t, const struct key *key, struct string *old, int64_t amount, int64_t *sum);

/* A part of a value: `len` bytes from `at` on. */
struct span {
	size_t at, len;
};

/* Gives the value of `key` the length `length` (<= STRING_MAX) and sets `*bytes` to its first byte. New bytes are 0.
 * The caller then writes within `span` and within the new bytes, and calls keyspace_commit(). Creates the key if `old`
 * is NULL. Returns 0 or ATOMDB_E_OOM as string_set() does; after an error there is nothing to commit. */
int string_resize(struct tenant *t, const struct key *key, struct string *old, size_t length, struct span span,
		  char **bytes);
/* Opens at most 8 bytes of a value for a write in place, like string_resize(). Returns false if that would take memory;
 * then nothing changed. Evicts nothing. */
bool string_patch(struct tenant *t, const struct key *key, struct string *old, struct span span, char **bytes);
/* Changes OBJECT ENCODING to raw, as a write in place that leaves all bytes as they are does. The watcher is not
 * called. Returns 0 or ATOMDB_E_OOM. */
int string_make_raw(struct tenant *t, const struct key *key, struct string *old);
