/* The arguments of a command that are keys, by the key specifications of its row. */
#pragma once

#include "atomdb/session/command.h"

struct command_keys {
	uint32_t next, last, step; /* the range of arguments that first_key, last_key and key_step give */
	uint32_t found;            /* the argument that key_spec.find gave, which comes last; 0: none */
};

/* Starts with the first key. There is none if the command has no keys, or its arguments are channels. */
struct command_keys command_keys_begin(const struct command *c, const struct slice *argv, uint32_t argc);
/* Returns the flags (enum key_flag) of the key that is argument `at`, without KEY_VARIABLE_FLAGS. */
uint32_t command_key_flags(const struct command *c, const struct slice *argv, uint32_t argc, uint32_t at);

/* Stores the number of the next argument that is a key. Returns false if there is none. */
static inline bool command_keys_next(struct command_keys *k, uint32_t *at) {
	bool in_range = k->next <= k->last;

	*at = in_range ? k->next : k->found;
	if (in_range)
		k->next += k->step;
	else
		k->found = 0;
	return *at != 0;
}

/* Returns how many keys are left. */
static inline uint32_t command_keys_count(const struct command_keys *k) {
	return (k->next > k->last ? 0 : (k->last - k->next) / k->step + 1) + (k->found != 0);
}
