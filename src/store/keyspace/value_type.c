#include "store/keyspace/value_type.h"

#include "atomdb/util/error.h"

static const char *unknown_encoding(const struct entry *e) {
	(void)e;
	return "unknown";
}

static bool unknown_is_sound(const struct entry *e) {
	(void)e;
	return false;
}

static int unknown_copy(struct tenant *t, const struct entry *e, char *stored) {
	(void)t, (void)e, (void)stored;
	return ATOMDB_E_WRONGTYPE;
}

static int unknown_dump(const struct tenant *t, const struct entry *e, struct value_room room) {
	(void)t, (void)e, (void)room;
	return ATOMDB_E_WRONGTYPE;
}

static void unknown_digest(const struct tenant *t, const struct entry *e, struct digest *d) {
	(void)t, (void)e, (void)d;
}

static const struct value_type unknown = {
	.name = "unknown",
	.encoding = unknown_encoding,
	.is_sound = unknown_is_sound,
	.copy = unknown_copy,
	.dump = unknown_dump,
	.digest = unknown_digest,
};

static const struct value_type *type_of_tag(const struct value_types *types, unsigned tag) {
	return tag < types->count && types->rows[tag].name != NULL ? &types->rows[tag] : &unknown;
}

/* Returns the type of a tagged value. */
static const struct value_type *type_of_stored(const struct shard *s, struct slice stored) {
	return stored.len == 0 ? &unknown : type_of_tag(s->types, (unsigned char)stored.data[0]);
}

const struct value_type *value_type_in(const struct shard *s, const struct entry *e) {
	if (entry_is_tagged(e))
		return type_of_stored(s, entry_stored(e));
	return type_of_tag(s->types, ENTRY_TAG_DIGITS);
}

const struct value_type *value_type_of(const struct tenant *t, const struct entry *e) {
	return value_type_in(t->shard, e);
}

const struct value_type *value_type_for_rdb(const struct tenant *t, unsigned rdb_type) {
	const struct value_types *types = t->shard->types;
	for (size_t i = 0; i < types->count && rdb_type < 32; i++)
		if (types->rows[i].name != NULL && (types->rows[i].rdb_types >> rdb_type & 1) != 0)
			return &types->rows[i];
	return NULL;
}

void value_type_free(struct shard *s, ref block, uint32_t owner) {
	if (block == s->moved)
		return;
	struct slice stored = entry_stored_before(entry_at(s, block), owner);
	const struct value_type *type = type_of_stored(s, stored);
	if (type->free != NULL)
		type->free(s, stored);
}
