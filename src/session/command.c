#include "atomdb/session/command.h"

#include <assert.h>

#include "atomdb/session/session.h"
#include "atomdb/util/ascii_word.h"

static const char *const command_names[] = {
#define COMMAND(id, name, ...) [COMMAND_##id] = (name),
#define SUBCOMMAND(...)
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

enum {
	NUMBERS = 0
#define COMMAND(...)    +1
#define SUBCOMMAND(...) +1
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

static_assert(COMMAND_SLOTS >= 2 * COMMAND_COUNT, "the index of command names is sparse");

const struct command *command_subcommands(const struct command_set *set, const struct command *parent, size_t *count) {
	size_t first = 0, n = 0;
	*count = 0;
	if (!(parent->flags & CMD_PARENT))
		return NULL;
	for (size_t i = 0; i < set->subcommand_count; i++) {
		if (set->subcommands[i].id != parent->id)
			continue;
		if (n++ == 0)
			first = i;
	}
	*count = n;
	return n == 0 ? NULL : &set->subcommands[first];
}

const struct command *command_next(const struct command_set *set, const struct command *c) {
	size_t count;
	if (c == NULL)
		return set->rows;
	const struct command *sub = c->number < COMMAND_COUNT ? command_subcommands(set, c, &count) : c + 1;
	if (sub != NULL && sub < set->subcommands + set->subcommand_count && sub->id == c->id)
		return sub;
	return (size_t)c->id + 1 < COMMAND_COUNT ? &set->rows[c->id + 1] : NULL;
}

const struct command *command_find_subcommand(const struct command_set *set, const struct command *parent,
					      struct slice name) {
	size_t count;
	const struct command *sub = command_subcommands(set, parent, &count);
	size_t prefix = strlen(parent->name) + 1;
	for (size_t i = 0; i < count; i++) {
		if (slice_is(name, sub[i].name + prefix))
			return &sub[i];
	}
	return NULL;
}

const struct command *command_find(const struct command_set *set, struct slice name) {
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (slice_is(name, set->rows[i].name))
			return &set->rows[i];
	}
	return NULL;
}

/* Returns the bytes of a name in lower case as two words: the first 8, and the last 8 of a longer one, which may
 * overlap. Together with the length they identify every name of up to 16 bytes. */
static inline void name_words(struct slice name, uint64_t *head, uint64_t *tail) {
	*head = ascii_word(name);
	*tail = name.len > 8 ? ascii_word_lower(ascii_word_load(name.data + name.len - 8, 8)) : 0;
}

static inline unsigned slot_of(uint64_t head, uint64_t tail, size_t length) {
	uint64_t h = (head ^ (tail << 29 | tail >> 35) ^ length) * 0x9E3779B97F4A7C15;
	return (unsigned)(h >> 56) % COMMAND_SLOTS;
}

void command_index_build(struct command_index *index, const struct command_set *set) {
	memset(index, 0, sizeof(*index));
	for (uint32_t id = 0; id < COMMAND_COUNT; id++) {
		struct slice name = slice_of(set->rows[id].name);
		struct command_slot slot = {.length = name.len, .command = &set->rows[id]};
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
		if (name.len <= 16 || slice_is(name, slot->command->name))
			return slot->command;
	}
}

const struct command *command_find_full(const struct command_set *set, struct slice name) {
	const char *bar = name.len == 0 ? NULL : memchr(name.data, '|', name.len);
	if (bar == NULL)
		return command_find(set, name);
	size_t n = (size_t)(bar - name.data);
	const struct command *parent = command_find(set, (struct slice){name.data, n});
	return parent == NULL ? NULL : command_find_subcommand(set, parent, (struct slice){bar + 1, name.len - n - 1});
}

const struct command *command_find_arguments(const struct command_set *set, const struct slice *argv, uint32_t argc) {
	const struct command *c = command_find(set, argv[0]);
	return c == NULL || !(c->flags & CMD_PARENT) || argc == 1 ? c : command_find_subcommand(set, c, argv[1]);
}

const char *command_name(enum command_id id) {
	return command_names[id];
}

size_t command_numbers(void) {
	return NUMBERS;
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

uint32_t command_find_category(struct slice name) {
	for (unsigned bit = 0; command_category_name(bit) != NULL; bit++) {
		if (slice_is(name, command_category_name(bit)))
			return UINT32_C(1) << bit;
	}
	return 0;
}

bool command_is_long(const struct session *s, const struct request *r) {
	const struct command *c = r->command;
	return c->is_long != NULL ? c->is_long(s, r) : (c->flags & CMD_LONG) != 0;
}
