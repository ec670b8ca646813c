/* The stored forms of strings, for the files of this directory. */
#pragma once

#include "atomdb/store/string.h"
#include "store/keyspace/entry.h"

/* A string as it is stored. */
struct string_form {
	struct slice stored; /* `number`, or the client's bytes */
	unsigned flags;      /* of the entry's header */
	int64_t number;
};

/* Chooses the form that string_set() gives to `value`. `*form` stays where it is until it is stored. */
void string_choose_form(struct slice value, struct string_form *form);
/* Returns whether the value of an entry is one that this release writes. The entry's lengths are within its block. */
bool string_is_sound(const struct entry *e);
