#include "atomdb/session/options.h"

#include "atomdb/util/ascii_word.h"

#define WORD sizeof(uint64_t)

static bool tail_is(const struct command_option *o, struct slice name) {
	struct slice tail = {name.data + WORD, name.len - WORD};
	return ascii_word(tail) == ascii_word_load(o->name + WORD, WORD);
}

const struct command_option *options_find(const struct command_option *table, size_t count, struct slice name) {
	uint64_t word = ascii_word(name);
	for (const struct command_option *o = table, *end = table + count; o < end; o++) {
		if (ascii_word_load(o->name, WORD) == word && o->length == name.len &&
		    (name.len <= WORD || tail_is(o, name)))
			return o;
	}
	return NULL;
}
