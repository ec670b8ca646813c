#include "atomdb/session/keys.h"

struct command_keys command_keys_begin(const struct command *c, uint32_t argc) {
	const struct command_keys none = {.next = 1, .last = 0, .step = 1};
	int64_t last = c->last_key < 0 ? (int64_t)argc + c->last_key : c->last_key;
	if (c->first_key == 0 || (c->key_flags & KEY_NOT_KEY) || last < c->first_key)
		return none;
	if (last >= argc)
		last = (int64_t)argc - 1;
	return (struct command_keys){(uint32_t)c->first_key, (uint32_t)last, (uint32_t)c->key_step};
}
