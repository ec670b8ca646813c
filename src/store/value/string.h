/* The stored forms of strings, and their hooks in types.def. */
#pragma once

#include "atomdb/store/string.h"
#include "atomdb/store/value_type.h"
#include "store/keyspace/entry.h"

/* A string as it is stored. */
struct string_form {
	struct slice stored; /* `number`, or the client's bytes */
	unsigned flags;      /* of the entry's header */
	int64_t number;
};

/* Chooses the form that string_set() gives to `value`. `*form` is not copied before it is stored. */
void string_choose_form(struct slice value, struct string_form *form);

const char *string_encoding(const struct entry *e);
bool string_is_sound(const struct entry *e);
int string_dump(const struct tenant *t, const struct entry *e, struct value_room room);
int string_restore(struct tenant *t, const struct key *key, struct entry *old, int64_t deadline,
		   const struct payload *payload, struct value_room room);
void string_digest(const struct tenant *t, const struct entry *e, struct digest *d);
