#include "atomdb/session/keys.h"

static bool is_last(const struct key_spec *spec) {
	return spec == NULL || spec->flags == 0;
}

/* Returns the argument that a specification of the command finds, or 0. */
static uint32_t find(const struct command *c, const struct slice *argv, uint32_t argc) {
	for (const struct key_spec *spec = c->more_keys; !is_last(spec); spec++) {
		if (spec->find != NULL)
			return spec->find(argv, argc);
	}
	return 0;
}

struct command_keys command_keys_begin(const struct command *c, const struct slice *argv, uint32_t argc) {
	const struct command_keys none = {.next = 1, .last = 0, .step = 1};
	int64_t last = c->last_key < 0 ? (int64_t)argc + c->last_key : c->last_key;
	if (c->first_key == 0 || (c->key_flags & KEY_NOT_KEY) || last < c->first_key)
		return none;
	if (last >= argc)
		last = (int64_t)argc - 1;
	return (struct command_keys){
		.next = (uint32_t)c->first_key,
		.last = (uint32_t)last,
		.step = (uint32_t)c->key_step,
		.found = find(c, argv, argc),
	};
}

static bool covers(const struct key_spec *spec, const struct slice *argv, uint32_t argc, uint32_t at) {
	if (spec->first == 0)
		return spec->find != NULL && spec->find(argv, argc) == at;
	return at >= (uint32_t)spec->first && (spec->last < 0 || at <= (uint32_t)spec->last);
}

uint32_t command_key_flags(const struct command *c, const struct slice *argv, uint32_t argc, uint32_t at) {
	for (const struct key_spec *spec = c->more_keys; !is_last(spec); spec++) {
		if (covers(spec, argv, argc, at))
			return spec->flags;
	}
	uint32_t flags = c->call_key_flags != NULL ? c->call_key_flags(argv, argc) : c->key_flags;
	return flags & ~(uint32_t)KEY_VARIABLE_FLAGS;
}
