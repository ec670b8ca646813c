/* Strings: four forms of a value, told by STRING_INT and STRING_RAW in the entry's header.
 *
 *   neither       the bytes as the client gave them
 *   STRING_INT    an int64_t in native order, 8 bytes, unaligned: chosen if the decimal text is longer
 *   STRING_RAW    the bytes, written in place at least once: OBJECT ENCODING says raw
 *   both          ENTRY_TAG_DIGITS, then the text of a number: OBJECT ENCODING says embstr */
#include "store/value/string.h"

#include <assert.h>

#include "atomdb/rdb/string.h"
#include "atomdb/util/digest.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "atomdb/util/number.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/change.h"
#include "store/keyspace/check.h"
#include "store/keyspace/copy.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/keyspace.h"
#include "store/keyspace/pin.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/record.h"
#include "store/keyspace/undo.h"

_Static_assert(RDB_STRING_MAX == STRING_MAX, "a payload holds any string, and no longer one");

/* The two bits of ENTRY_FORM. */
enum {
	STRING_INT = 4,
	STRING_RAW = 8,
};

static inline bool is_integer(const struct entry *e) {
	return (entry_flags(e) & ENTRY_FORM) == STRING_INT;
}

static inline bool has_form(const struct entry *e, unsigned flags) {
	return (entry_flags(e) & flags) != 0;
}

/* Not inlined: string_value() then saves no registers in the usual case. */
static __attribute__((noinline)) struct slice text_of_integer(const struct entry *e, char text[STRING_TEXT]) {
	struct slice stored = entry_stored(e);
	if (entry_is_tagged(e)) {
		memcpy(text, stored.data + 1, stored.len - 1);
		return (struct slice){text, stored.len - 1};
	}
	int64_t value;
	memcpy(&value, stored.data, sizeof value);
	return (struct slice){text, number_format(value, text)};
}

/* Not inlined: string_find() then saves no registers in the usual case. */
static __attribute__((noinline)) bool tag_is_digits(const struct entry *e) {
	struct slice stored = entry_stored(e);
	return stored.len != 0 && stored.data[0] == ENTRY_TAG_DIGITS;
}

int string_find(struct tenant *t, const struct key *key, enum lookup how, struct string **found) {
	struct entry *e = keyspace_find_inline(t, key, how);
	if (e != NULL && __builtin_expect(entry_is_tagged(e), 0) && !tag_is_digits(e))
		return ATOMDB_E_WRONGTYPE;
	*found = (struct string *)e;
	return 0;
}

static struct slice value_of(const struct entry *e, char text[STRING_TEXT]) {
	if (__builtin_expect(has_form(e, STRING_INT), 0))
		return text_of_integer(e, text);
	return entry_stored(e);
}

struct slice string_value(const struct string *s, char text[STRING_TEXT]) {
	return value_of(string_entry(s), text);
}

/* Not inlined, so that the usual case is. */
static __attribute__((noinline)) bool integer_of_text(const struct entry *e, int64_t *value) {
	struct slice stored = entry_stored(e);
	size_t tag = entry_is_tagged(e);
	return number_parse((struct slice){stored.data + tag, stored.len - tag}, value);
}

const char *string_encoding(const struct entry *e) {
	int64_t ignored;
	if (entry_is_tagged(e))
		return "embstr";
	if (has_form(e, STRING_RAW))
		return "raw";
	if (is_integer(e) || integer_of_text(e, &ignored))
		return "int";
	return entry_stored(e).len <= 44 ? "embstr" : "raw";
}

/* Stores `len` bytes under `key`. */
static inline __attribute__((always_inline)) int store_here(struct tenant *t, const struct key *key, struct entry *old,
							    const void *stored, size_t len, unsigned flags,
							    int64_t deadline) {
	deadline = draft_deadline(t, old, deadline);
	if (__builtin_expect(deadline != 0 && deadline <= t->shard->now_ms, 0)) {
		return old == NULL ? 0 : keyspace_delete(t, key, old);
	}
	struct database *d = draft_database(t, key, len, 0);
	struct draft draft;
	if (d == NULL)
		return ATOMDB_E_OOM;
	int error = draft_make(t, d, key, old, len, flags, deadline, 0, &draft);
	if (error != 0)
		return error;
	draft_fill(&draft, stored, len);
	draft_publish(t, d, key, old, &draft);
	return 0;
}

/* For calls other than string_set(), the most frequent one. */
static int store(struct tenant *t, const struct key *key, struct entry *old, const void *stored, size_t len,
		 unsigned flags, int64_t deadline) {
	return store_here(t, key, old, stored, len, flags, deadline);
}

void string_choose_form(struct slice value, struct string_form *form) {
	form->stored = value;
	form->flags = 0;
	if (value.len > sizeof(form->number) && value.len <= NUMBER_TEXT_MAX && number_parse(value, &form->number)) {
		form->stored = (struct slice){(const char *)&form->number, sizeof(form->number)};
		form->flags = STRING_INT;
	}
}

int string_set(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline) {
	struct string_form form;
	string_choose_form(value, &form);
	return store_here(t, key, old, form.stored.data, form.stored.len, form.flags, deadline);
}

int string_set_raw(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline) {
	return store(t, key, old, value.data, value.len, STRING_RAW, deadline);
}

int string_set_text(struct tenant *t, const struct key *key, struct entry *old, struct slice value, int64_t deadline) {
	int64_t ignored;
	char tagged[1 + NUMBER_TEXT_MAX] = {ENTRY_TAG_DIGITS};
	if (!number_parse(value, &ignored))
		return store(t, key, old, value.data, value.len, 0, deadline);
	memcpy(tagged + 1, value.data, value.len);
	return store(t, key, old, tagged, 1 + value.len, STRING_INT | STRING_RAW, deadline);
}

/* Replaces the integer at `at`, within `e`. Returns 0 or ATOMDB_E_OOM. */
static inline int put_integer(struct tenant *t, const struct key *key, struct entry *e, char *at, int64_t value) {
	struct shard *s = t->shard;
	size_t from = (size_t)(at - (char *)e);
	if (!undo_is_free(s, e) && undo_note_bytes(s, e, from, sizeof value) != 0)
		return ATOMDB_E_OOM;
	fiber_forbid();
	/* The check of an entry with a short key is cheaper to compute from the start. */
	if (entry_has(e, ENTRY_WIDE))
		check_begin(s, e, from, from + sizeof value);
	else
		check_begin_whole(s, entry_ref(s, e));
	memcpy(at, &value, sizeof value); /* one store */
	crash_point();
	check_end(s);
	fiber_allow();
	lru_touch(s->arena, &t->record->lru, entry_ref(s, e));
	change_tell(t, CHANGE_VALUE, key->db_slot, key->name);
	return 0;
}

int string_add(struct tenant *t, const struct key *key, struct string *string, int64_t amount, int64_t *sum) {
	struct entry *old = string_entry(string);
	int64_t value = 0, result;
	char *at = NULL;
	if (old != NULL && is_integer(old)) {
		at = (char *)(uintptr_t)entry_stored(old).data;
		memcpy(&value, at, sizeof value);
	} else if (old != NULL && !integer_of_text(old, &value)) {
		return ATOMDB_E_SYNTAX;
	}
	if (__builtin_add_overflow(value, amount, &result))
		return ATOMDB_E_RANGE;
	int error = 0;
	if (at != NULL)
		error = put_integer(t, key, old, at, result);
	else
		error = store(t, key, old, &result, sizeof result, STRING_INT,
			      old == NULL ? DEADLINE_NONE : DEADLINE_KEEP);
	if (error == 0)
		*sum = result;
	return error;
}

/* Writes the bytes that are going to be overwritten to the undo log. Returns false if there is no room for that. */
static bool note_value(struct tenant *t, struct entry *e, size_t length, struct span span) {
	struct shard *s = t->shard;
	struct slice stored = entry_stored(e);
	size_t end = length < stored.len ? length : stored.len;
	end = span.len < end && span.at < end - span.len ? span.at + span.len : end;
	size_t noted = span.at < end ? end - span.at : 0;
	if (noted > UNDO_INLINE && undo_keeps(s, e) && quota_has_to_fit(t, arena_block_size(noted)) &&
	    quota_make_room(t, arena_block_size(noted), entry_ref(s, e)) != 0)
		return false;
	return undo_note_bytes(s, e, (size_t)(stored.data - (char *)e) + span.at, noted) == 0 &&
	       undo_note_header(s, e) == 0;
}

/* Opens a change of the value to `length` bytes that writes within `span`. */
static void check_begin_value(struct shard *s, struct entry *e, size_t length, struct span span) {
	struct slice stored = entry_stored(e);
	size_t at = (size_t)(stored.data - (char *)e), least = length < stored.len ? length : stored.len;
	size_t from = span.at, to = span.len < length && span.at < length - span.len ? span.at + span.len : length;
	if (length != stored.len) {
		from = from < least ? from : least;
		to = length > stored.len ? length : stored.len;
	}
	check_begin(s, e, at + from, at + to);
}

/* Grows or shrinks a value within its block. Returns false if it needs another block. */
static bool resize_in_place(struct tenant *t, struct entry *e, size_t length, struct span span, char **bytes) {
	struct slice stored = entry_stored(e);
	size_t size = entry_size(e) - stored.len + length;
	if (has_form(e, STRING_INT) || arena_block_size(size) != arena_block_size(entry_size(e)) ||
	    (!entry_has(e, ENTRY_WIDE) && length > ENTRY_NARROW_VALUE))
		return false;
	if (entry_size(e) >= PIN_MIN && pin_has(t->shard, entry_ref(t->shard, e)))
		return false;
	lru_touch(t->shard->arena, &t->record->lru, entry_ref(t->shard, e));
	if (!undo_is_free(t->shard, e) && !note_value(t, e, length, span))
		return false;
	check_begin_value(t->shard, e, length, span);
	if (entry_has(e, ENTRY_WIDE))
		entry_wide(e)->value_len = (uint32_t)length;
	else
		e->sizes = (e->sizes & ~(ENTRY_NARROW_VALUE << ENTRY_VALUE_SHIFT)) | (uint32_t)length
											     << ENTRY_VALUE_SHIFT;
	e->owner |= (uint32_t)STRING_RAW << 24;
	*bytes = (char *)(uintptr_t)stored.data;
	if (length > stored.len)
		copy_zeros(*bytes + stored.len, length - stored.len);
	return true;
}

static int resize(struct tenant *t, const struct key *key, struct entry *old, size_t length, struct span span,
		  char **bytes) {
	if (old != NULL && resize_in_place(t, old, length, span, bytes)) {
		change_tell(t, CHANGE_VALUE, key->db_slot, key->name);
		return 0;
	}
	struct database *d = draft_database(t, key, length, 0);
	struct draft draft;
	if (d == NULL)
		return ATOMDB_E_OOM;
	int error = draft_make(t, d, key, old, length, STRING_RAW, draft_deadline(t, old, DEADLINE_KEEP), 0, &draft);
	if (error != 0)
		return error;
	size_t kept = 0;
	if (old != NULL) {
		char text[STRING_TEXT];
		struct slice value = value_of(old, text);
		kept = value.len < length ? value.len : length;
		copy_bytes(draft.value, value.data, kept);
	}
	copy_zeros(draft.value + kept, length - kept);
	check_begin_whole(t->shard, draft.block);
	draft_publish(t, d, key, old, &draft);
	*bytes = draft.value;
	return 0;
}

int string_resize(struct tenant *t, const struct key *key, struct string *old, size_t length, struct span span,
		  char **bytes) {
	keyspace_begin(t->shard);
	int error = resize(t, key, string_entry(old), length, span, bytes);
	if (error != 0)
		keyspace_commit(t->shard);
	return error;
}

bool string_patch(struct tenant *t, const struct key *key, struct string *old, struct span span, char **bytes) {
	struct entry *e = string_entry(old);
	struct shard *s = t->shard;
	assert(span.len <= UNDO_INLINE);
	keyspace_begin(s);
	if (!resize_in_place(t, e, entry_stored(e).len, span, bytes)) {
		keyspace_commit(s);
		return false;
	}
	change_tell(t, CHANGE_VALUE, key->db_slot, key->name);
	return true;
}

int string_make_raw(struct tenant *t, const struct key *key, struct string *old) {
	struct entry *e = string_entry(old);
	if (!has_form(e, STRING_INT)) {
		if (!undo_is_free(t->shard, e) && undo_note_header(t->shard, e) != 0)
			return ATOMDB_E_OOM;
		fiber_forbid();
		check_begin(t->shard, e, 0, 0);
		e->owner |= (uint32_t)STRING_RAW << 24;
		check_end(t->shard);
		fiber_allow();
		return 0;
	}
	struct database *d = tenant_database(t, key->db_slot);
	char text[STRING_TEXT];
	struct slice value = value_of(e, text);
	struct draft draft;
	int error = draft_make(t, d, key, e, value.len, STRING_RAW, entry_deadline(e), 0, &draft);
	if (error != 0)
		return error;
	draft_fill(&draft, value.data, value.len);
	change_watcher watcher = t->watcher;
	fiber_forbid();
	t->watcher = NULL;
	draft_publish(t, d, key, e, &draft);
	t->watcher = watcher;
	fiber_allow();
	return 0;
}

static bool is_digits(struct slice stored) {
	int64_t ignored;
	return stored.len > 1 && stored.data[0] == ENTRY_TAG_DIGITS &&
	       number_parse((struct slice){stored.data + 1, stored.len - 1}, &ignored);
}

bool string_is_sound(const struct entry *e) {
	struct slice stored = entry_stored(e);
	if (entry_is_tagged(e))
		return is_digits(stored);
	return stored.len <= STRING_MAX && (!is_integer(e) || stored.len == sizeof(int64_t));
}

int string_dump(const struct tenant *t, const struct entry *e, struct value_room room) {
	char text[STRING_TEXT];
	struct slice value = value_of(e, text);
	(void)t;
	return value.len > room.most || rdb_write_string(room.buffer, value) != 0 ? ATOMDB_E_OOM : 0;
}

int string_restore(struct tenant *t, const struct key *key, struct entry *old, int64_t deadline,
		   const struct payload *payload, struct value_room room) {
	char text[NUMBER_TEXT_MAX];
	struct slice value;
	int error = rdb_read_string(payload->value, room.most, text, room.buffer, &value);
	return error != 0 ? error : string_set(t, key, old, value, deadline);
}

void string_digest(const struct tenant *t, const struct entry *e, struct digest *d) {
	char text[STRING_TEXT];
	(void)t;
	digest_mix(d, value_of(e, text));
}
