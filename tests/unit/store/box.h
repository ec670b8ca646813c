/* A second type of values, for tests: a box. It holds its content outside the entry, whose value is the tag and the
 * number of the box. */
#pragma once

#include "atomdb/util/buffer.h"
#include "atomdb/util/digest.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/value_type.h"
#include "store/value/types.h"

#define BOX_TAG      7
#define BOX_RDB_TYPE 30
#define BOXES        4096

/* The number of a box is its index. */
struct box {
	bool used;
	size_t len;
	char content[32];
};

static struct box boxes[BOXES];

static inline unsigned boxes_used(void) {
	unsigned used = 0;
	for (unsigned i = 0; i < BOXES; i++)
		used += boxes[i].used;
	return used;
}

static inline struct box *box_of(struct slice stored) {
	uint32_t number;
	assert_int_equal(stored.len, 1 + sizeof(number));
	memcpy(&number, stored.data + 1, sizeof(number));
	assert_in_range(number, 0, BOXES - 1);
	assert_true(boxes[number].used);
	return &boxes[number];
}

/* Makes a box and writes the value that names it. */
static inline void box_make(struct slice content, char stored[1 + sizeof(uint32_t)]) {
	uint32_t number = 0;
	while (boxes[number].used)
		assert_in_range(++number, 0, BOXES - 1);
	assert_in_range(content.len, 0, sizeof(boxes[number].content));
	boxes[number] = (struct box){.used = true, .len = content.len};
	memcpy(boxes[number].content, content.data, content.len);
	stored[0] = BOX_TAG;
	memcpy(stored + 1, &number, sizeof(number));
}

static inline struct slice box_content(const struct entry *e) {
	const struct box *b = box_of(entry_stored(e));
	return (struct slice){b->content, b->len};
}

static inline const char *box_encoding(const struct entry *e) {
	return box_content(e).len > 8 ? "crate" : "matchbox";
}

static inline size_t box_memory(const struct tenant *t, const struct entry *e) {
	(void)t;
	return box_content(e).len;
}

static inline bool box_is_sound(const struct entry *e) {
	return entry_stored(e).len == 1 + sizeof(uint32_t);
}

static inline int box_copy(struct tenant *t, const struct entry *e, char *stored) {
	(void)t;
	if (slice_is(box_content(e), "unique"))
		return ATOMDB_E_OOM;
	box_make(box_content(e), stored);
	return 0;
}

static inline void box_free(struct shard *s, struct slice stored) {
	(void)s;
	box_of(stored)->used = false;
}

static inline int box_dump(const struct tenant *t, const struct entry *e, struct value_room room) {
	struct slice content = box_content(e);
	(void)t;
	return content.len > room.most || buffer_append(room.buffer, "\036", 1, SIZE_MAX) != 0 ||
			       buffer_append(room.buffer, content.data, content.len, SIZE_MAX) != 0
		       ? ATOMDB_E_OOM
		       : 0;
}

/* Sets a key to a box. `deadline`: milliseconds since 1970, or 0. */
static inline int box_set(struct tenant *t, const struct key *key, struct entry *old, struct slice content,
			  int64_t deadline) {
	struct database *d = draft_database(t, key, 5, 0);
	struct draft draft;
	int error = d == NULL ? ATOMDB_E_OOM : draft_make(t, d, key, old, 5, ENTRY_FORM, deadline, 0, &draft);
	if (error != 0)
		return error;
	box_make(content, draft.value);
	draft_seal(&draft);
	draft_publish(t, d, key, old, &draft);
	return 0;
}

static inline int box_restore(struct tenant *t, const struct key *key, struct entry *old, int64_t deadline,
			      const struct payload *payload, struct value_room room) {
	(void)room;
	if (payload->value.len > sizeof(boxes[0].content))
		return ATOMDB_E_SYNTAX;
	return box_set(t, key, old, payload->value, deadline);
}

static inline void box_digest(const struct tenant *t, const struct entry *e, struct digest *d) {
	(void)t;
	digest_mix(d, box_content(e));
}

/* The types of the release and this one. */
static inline const struct value_types *box_types(void) {
	static struct value_type rows[BOX_TAG + 1];
	static struct value_types types = {rows, BOX_TAG + 1};
	memcpy(rows, value_types.rows, value_types.count * sizeof(*rows));
	rows[BOX_TAG] = (struct value_type){
		.name = "box",
		.number = 9,
		.rdb_types = 1u << BOX_RDB_TYPE,
		.encoding = box_encoding,
		.memory = box_memory,
		.is_sound = box_is_sound,
		.copy = box_copy,
		.free = box_free,
		.dump = box_dump,
		.restore = box_restore,
		.digest = box_digest,
	};
	return &types;
}
