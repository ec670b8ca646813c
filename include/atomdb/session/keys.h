/* The arguments of a command that are keys, by the key specification of its row. */
#pragma once

#include "atomdb/session/command.h"

struct command_keys {
	uint32_t next, last, step; /* numbers of arguments */
};

/* Starts with the first key. There is none if the command has no keys, or names channels. */
struct command_keys command_keys_begin(const struct command *c, uint32_t argc);

/* Stores the number of the next argument that is a key. False: there is none. */
static inline bool command_keys_next(struct command_keys *k, uint32_t *at) {
	*at = k->next;
	k->next += k->step;
	return *at <= k->last;
}

/* Returns how many keys are left. */
static inline uint32_t command_keys_count(const struct command_keys *k) {
	return k->next > k->last ? 0 : (k->last - k->next) / k->step + 1;
}
