#include "atomdb/session/command.h"

#include <assert.h>

#include "atomdb/util/ascii_word.h"
#include "commands/handlers.h"

#define MORE_KEYS(...)              \
	(const struct key_spec[]) { \
		__VA_ARGS__, {      \
			.flags = 0  \
		}                   \
	}
#define HISTORY(...)                      \
	(const struct command_change[]) { \
		__VA_ARGS__, {            \
			NULL, NULL        \
		}                         \
	}

/* All subcommands, in the order of their rows: those of one parent follow each other. */
enum subcommand_id {
#define COMMAND(id, ...)
#define SUBCOMMAND(parent, id, ...) SUBCOMMAND_##parent##_##id,
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
	SUBCOMMAND_TOTAL
};

static const struct command subcommands[] = {
#define COMMAND(...)
#define SUBCOMMAND(parent_, id_, name_, run_, ...)               \
	{.name = (name_),                                        \
	 .run = (run_),                                          \
	 .id = COMMAND_##parent_,                                \
	 .number = COMMAND_COUNT + SUBCOMMAND_##parent_##_##id_, \
	 __VA_ARGS__},
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

const struct command command_table[] = {
#define COMMAND(id_, name_, run_, ...) \
	[COMMAND_##id_] = {.name = (name_), .run = (run_), .id = COMMAND_##id_, .number = COMMAND_##id_, __VA_ARGS__},
#define SUBCOMMAND(...)
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

static_assert(COMMAND_SLOTS >= 2 * COMMAND_COUNT, "the index of command names is sparse");

const struct command *command_subcommands(const struct command *parent, size_t *count) {
	size_t first = 0, n = 0;
	*count = 0;
	if (!(parent->flags & CMD_PARENT))
		return NULL;
	for (size_t i = 0; i < SUBCOMMAND_TOTAL; i++) {
		if (subcommands[i].id != parent->id)
			continue;
		if (n++ == 0)
			first = i;
	}
	*count = n;
	return n == 0 ? NULL : &subcommands[first];
}

const struct command *command_find_subcommand(const struct command *parent, struct slice name) {
	size_t count;
	const struct command *sub = command_subcommands(parent, &count);
	size_t prefix = strlen(parent->name) + 1;
	for (size_t i = 0; i < count; i++) {
		if (slice_is(name, sub[i].name + prefix))
			return &sub[i];
	}
	return NULL;
}

const struct command *command_find(struct slice name) {
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (slice_is(name, command_table[i].name))
			return &command_table[i];
	}
	return NULL;
}

/* A name's bytes as two words, small letters: the first 8, and the last 8 of a longer one, which may overlap. Together
 * with the length they tell every name of up to 16 bytes apart. */
static inline void name_words(struct slice name, uint64_t *head, uint64_t *tail) {
	*head = ascii_word(name);
	*tail = name.len > 8 ? ascii_word_lower(ascii_word_load(name.data + name.len - 8, 8)) : 0;
}

static inline unsigned slot_of(uint64_t head, uint64_t tail, size_t length) {
	uint64_t h = (head ^ (tail << 29 | tail >> 35) ^ length) * 0x9E3779B97F4A7C15;
	return (unsigned)(h >> 56) % COMMAND_SLOTS;
}

void command_index_build(struct command_index *index) {
	memset(index, 0, sizeof(*index));
	for (uint32_t id = 0; id < COMMAND_COUNT; id++) {
		struct slice name = slice_of(command_table[id].name);
		struct command_slot slot = {.length = (uint32_t)name.len, .id = id};
		name_words(name, &slot.head, &slot.tail);
		unsigned i = slot_of(slot.head, slot.tail, name.len);
		while (index->slots[i].length != 0)
			i = (i + 1) % COMMAND_SLOTS;
		index->slots[i] = slot;
	}
	index->ready = true;
}

const struct command *command_index_find(const struct command_index *index, struct slice name) {
	uint64_t head, tail;
	name_words(name, &head, &tail);
	for (unsigned i = slot_of(head, tail, name.len);; i = (i + 1) % COMMAND_SLOTS) {
		const struct command_slot *slot = &index->slots[i];
		if (slot->length == 0)
			return NULL;
		if (slot->head != head || slot->tail != tail || slot->length != name.len)
			continue;
		const struct command *c = &command_table[slot->id];
		if (name.len <= 16 || slice_is(name, c->name))
			return c;
	}
}

const struct command *command_find_full(struct slice name) {
	const char *bar = name.len == 0 ? NULL : memchr(name.data, '|', name.len);
	if (bar == NULL)
		return command_find(name);
	size_t n = (size_t)(bar - name.data);
	const struct command *parent = command_find((struct slice){name.data, n});
	return parent == NULL ? NULL : command_find_subcommand(parent, (struct slice){bar + 1, name.len - n - 1});
}

size_t command_numbers(void) {
	return COMMAND_COUNT + SUBCOMMAND_TOTAL;
}

uint32_t command_categories(const struct command *c) {
	uint32_t categories = c->categories;
	if (c->flags & CMD_WRITE)
		categories |= ACL_WRITE;
	if (c->flags & CMD_READONLY)
		categories |= ACL_READ;
	if (c->flags & CMD_ADMIN)
		categories |= ACL_ADMIN | ACL_DANGEROUS;
	if (c->flags & CMD_PUBSUB)
		categories |= ACL_PUBSUB;
	categories |= (c->flags & CMD_FAST) ? ACL_FAST : ACL_SLOW;
	return categories;
}

const char *command_category_name(unsigned bit) {
	static const char *const names[] = {
		"keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
		"string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
		"fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};
	return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}
