#include "atomdb/session/command.h"

#include <assert.h>

#include "atomdb/session/acl_category.h"
#include "atomdb/util/ascii_word.h"
#include "commands/handlers.h"

#define A_ADMIN          ACL_ADMIN
#define A_SCRIPTING      ACL_SCRIPTING
#define A_KEYSPACE       ACL_KEYSPACE
#define A_HYPERLOGLOG    ACL_HYPERLOGLOG
#define A_LIST           ACL_LIST
#define A_SET            ACL_SET
#define A_SORTEDSET      ACL_SORTEDSET
#define A_STRING         ACL_STRING
#define A_BITMAP         ACL_BITMAP
#define A_DANGEROUS      ACL_DANGEROUS
#define A_CONNECTION     ACL_CONNECTION
#define A_TRANSACTION    ACL_TRANSACTION
#define F_WRITE          CMD_WRITE
#define F_READONLY       CMD_READONLY
#define F_DENYOOM        CMD_DENYOOM
#define F_ADMIN          CMD_ADMIN
#define F_FAST           CMD_FAST
#define F_LOADING        CMD_LOADING
#define F_STALE          CMD_STALE
#define F_NOSCRIPT       CMD_NOSCRIPT
#define F_NO_AUTH        CMD_NO_AUTH
#define F_PARENT         CMD_PARENT
#define F_PUBSUB         CMD_PUBSUB
#define F_SKIP_SLOWLOG   CMD_SKIP_SLOWLOG
#define F_NO_MULTI       CMD_NO_MULTI
#define F_ALLOW_BUSY     CMD_ALLOW_BUSY
#define K_RO             KEY_RO
#define K_RW             KEY_RW
#define K_OW             KEY_OW
#define K_RM             KEY_RM
#define K_ACCESS         KEY_ACCESS
#define K_UPDATE         KEY_UPDATE
#define K_INSERT         KEY_INSERT
#define K_DELETE         KEY_DELETE
#define K_VARIABLE_FLAGS KEY_VARIABLE_FLAGS
#define K_NOT_KEY        KEY_NOT_KEY

#define NO_KEYS                           .first_key = 0
#define ONE_KEY(how)                      .first_key = 1, .last_key = 1, .key_step = 1, .key_flags = (how)
#define ONE_KEY_NOTED(how, remark)        ONE_KEY(how), .key_note = (remark)
#define ALL_KEYS(how, step)               .first_key = 1, .last_key = -1, .key_step = (step), .key_flags = (how)
#define ALL_KEYS_NOTED(how, step, remark) ALL_KEYS(how, step), .key_note = (remark)
#define TWO_KEYS(how)                     .first_key = 1, .last_key = 2, .key_step = 1, .key_flags = (how)
#define KEY_AT(at, how)                   .first_key = (at), .last_key = (at), .key_step = 1, .key_flags = (how)
#define MORE_KEYS(...)                           \
	.more_keys = (const struct key_spec[]) { \
		__VA_ARGS__, {                   \
			.flags = 0               \
		}                                \
	}
#define KEY_PAIR(how, second) TWO_KEYS(how), MORE_KEYS({.flags = (second), .first = 2, .last = 2})
#define KEY_AND_KEYS(at, how, others)                                         \
	.first_key = (at), .last_key = -1, .key_step = 1, .key_flags = (how), \
	MORE_KEYS({.flags = (others), .first = (at) + 1, .last = -1})
/* Redis's words, which clients may look for. */
#define SORT_BY_GET                                                                                              \
	{                                                                                                        \
		.flags = KEY_RO | KEY_ACCESS, .note = "For the optional BY/GET keyword. It is marked 'unknown' " \
						      "because the key names derive from the content "           \
						      "of the key we sort"                                       \
	}
#define SORT_STORE                                                                                              \
	{                                                                                                       \
		.flags = KEY_OW | KEY_UPDATE, .note = "For the optional STORE keyword. It is marked 'unknown' " \
						      "because the keyword can appear anywhere in the "         \
						      "argument array"                                          \
	}
#define SORT_KEYS    ONE_KEY(KEY_RO | KEY_ACCESS), MORE_KEYS(SORT_BY_GET, SORT_STORE)
#define SORT_RO_KEYS ONE_KEY(KEY_RO | KEY_ACCESS), MORE_KEYS(SORT_BY_GET)

/* All subcommands, in the order of their rows: those of one parent follow each other. */
enum subcommand_id {
#define COMMAND(id, ...)
#define SUBCOMMAND(parent, id, ...) SUBCOMMAND_##parent##_##id,
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
	SUBCOMMAND_TOTAL
};

/* A subcommand's group is its parent's. */
#define PARENT_GROUP_ACL      GROUP_SERVER
#define PARENT_GROUP_CLIENT   GROUP_CONNECTION
#define PARENT_GROUP_COMMAND  GROUP_SERVER
#define PARENT_GROUP_CONFIG   GROUP_SERVER
#define PARENT_GROUP_FUNCTION GROUP_SCRIPTING
#define PARENT_GROUP_LATENCY  GROUP_SERVER
#define PARENT_GROUP_MEMORY   GROUP_SERVER
#define PARENT_GROUP_OBJECT   GROUP_GENERIC
#define PARENT_GROUP_PUBSUB   GROUP_PUBSUB
#define PARENT_GROUP_SLOWLOG  GROUP_SERVER
#define PARENT_GROUP_TENANT   GROUP_SERVER

static const struct command subcommands[] = {
#define COMMAND(...)
#define SUBCOMMAND(parent_, id_, name_, run_, arity_, flags_, categories_, ...) \
	KEYED_SUBCOMMAND(parent_, id_, name_, run_, arity_, flags_, categories_, NO_KEYS, __VA_ARGS__)
#define KEYED_SUBCOMMAND(parent_, id_, name_, run_, arity_, flags_, categories_, keys_, tips_, since_, complexity_, \
			 summary_)                                                                                  \
	{.name = (name_),                                                                                           \
	 .run = (run_),                                                                                             \
	 .arity = (arity_),                                                                                         \
	 .flags = (flags_),                                                                                         \
	 .categories = (categories_),                                                                               \
	 keys_,                                                                                                     \
	 .group = PARENT_GROUP_##parent_,                                                                           \
	 .tips = (tips_),                                                                                           \
	 .since = (since_),                                                                                         \
	 .complexity = (complexity_),                                                                               \
	 .summary = (summary_),                                                                                     \
	 .id = COMMAND_##parent_,                                                                                   \
	 .number = COMMAND_COUNT + SUBCOMMAND_##parent_##_##id_},
#include "atomdb/commands/commands.def"
#undef COMMAND
#undef SUBCOMMAND
};

const struct command command_table[] = {
#define COMMAND(id_, name_, run_, group_, arity_, flags_, categories_, keys_, tips_, since_, complexity_, summary_) \
	[COMMAND_##id_] = {.name = (name_),                                                                         \
			   .run = (run_),                                                                           \
			   .group = GROUP_##group_,                                                                 \
			   .arity = (arity_),                                                                       \
			   .flags = (flags_),                                                                       \
			   .categories = (categories_),                                                             \
			   keys_,                                                                                   \
			   .tips = (tips_),                                                                         \
			   .since = (since_),                                                                       \
			   .complexity = (complexity_),                                                             \
			   .summary = (summary_),                                                                   \
			   .id = COMMAND_##id_,                                                                     \
			   .number = COMMAND_##id_},
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
