#include "store/keyspace/undo.h"

#include <assert.h>
#include <string.h>

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/check.h"
#include "store/keyspace/copy.h"
#include "store/keyspace/value_type.h"

#define ROOM_MIN  64u
#define ROOM_KEPT 1024u
#define ROOM_MOST (UINT32_MAX / 4)

/* Notes among which a note of the same bytes is looked for one by one. With more notes there is an index. */
#define SEARCHED 32u
/* Notes that are copied, indexed or finished between two check points. */
#define STEP           1024u
#define INDEX_BITS_MIN 8u

static ref ref_of(const struct shard *s, const void *at) {
	return (ref)((size_t)((const char *)at - (const char *)arena_at(s->arena, 0)) / ARENA_UNIT);
}

/* ---- the charge ---- */

/* Sets the tenant of the scope, at its first note. */
static void take_tenant(struct shard *s, struct tenant *t) {
	if (s->scope.tenant != NULL || t == NULL)
		return;
	s->scope.tenant = t;
	s->root->undo_slot = t->slot;
}

static struct tenant *tenant_of(const struct shard *s, uint32_t owner) {
	return s->tenants[owner & ENTRY_TENANT_MAX];
}

static void charge(struct shard *s, size_t size) {
	if (s->scope.tenant == NULL)
		return;
	counter_add(&s->scope.tenant->counters.bytes, arena_block_size(size));
	s->scope.bytes += arena_block_size(size);
}

static void discharge(struct shard *s) {
	if (s->scope.tenant != NULL)
		counter_sub(&s->scope.tenant->counters.bytes, s->scope.bytes);
}

const struct undo_scope *undo_scope_of(const struct tenant *t) {
	static const struct undo_scope none;
	if (t->suspension.suspended)
		return &t->suspension.scope;
	const struct undo_scope *running = &t->shard->scope;
	return running->tenant == NULL || running->tenant == t ? running : &none;
}

/* ---- the log ---- */

static uint32_t room_of(const struct shard *s) {
	return (uint32_t)(s->root->undo >> 32);
}

static void free_log(struct shard *s, uint64_t log) {
	if ((ref)log != 0)
		arena_free(s->arena, (ref)log, (size_t)(log >> 32) * sizeof(struct undo), ARENA_OTHER);
}

/* Moves the notes to a log with room for `room` notes. One store publishes it. */
static int grow(struct shard *s, uint32_t room) {
	uint32_t count = s->root->undo_count, old_room = room_of(s);
	ref log = arena_alloc_reserve(s->arena, room * sizeof(struct undo), ARENA_OTHER);

	if (log == 0)
		return ATOMDB_E_OOM;
	for (uint32_t i = 0; i < count; i += STEP) {
		uint32_t some = count - i < STEP ? count - i : STEP;
		memcpy((struct undo *)arena_at(s->arena, log) + i, undo_log(s) + i, some * sizeof(struct undo));
		(void)fiber_check();
	}
	/* A tenant is charged only for a log longer than the one that the shard keeps. */
	if (room > ROOM_KEPT)
		charge(s, (room - old_room) * sizeof(struct undo));
	uint64_t old = s->root->undo;
	crash_point();
	s->root->undo = log | (uint64_t)room << 32;
	crash_point();
	free_log(s, old);
	return 0;
}

int undo_reserve(struct tenant *t, uint64_t notes) {
	struct shard *s = t->shard;
	uint32_t count = s->root->undo_count;
	uint64_t room = room_of(s);

	take_tenant(s, t);
	if (notes <= room - count)
		return 0;
	if (notes > ROOM_MOST - count)
		return ATOMDB_E_OOM;
	while (room - count < notes)
		room = room == 0 ? ROOM_MIN : room * 2;
	return grow(s, (uint32_t)room);
}

int keyspace_reserve(struct tenant *t, uint64_t keys) {
	return undo_make_room(t, keys * UNDO_REMOVE);
}

static void append(struct shard *s, const struct undo *u) {
	uint32_t count = s->root->undo_count;

	assert(count < room_of(s));
	undo_log(s)[count] = *u;
	crash_point();
	s->root->undo_count = count + 1;
	crash_point();
}

/* ---- the end of a scope ---- */

/* Returns whether the noted block is an entry of the tenant now. It may be another entry that reuses the block. */
static bool is_entry(const struct shard *s, ref block, uint32_t slot) {
	const struct entry *e = arena_at(s->arena, block);
	size_t size;

	return arena_find_block(s->arena, block, ARENA_ENTRY, &size) && e->owner != 0 && entry_tenant(e) == slot;
}

static void finish_note(struct shard *s, const struct undo *u, uint32_t slot) {
	if (u->kind == UNDO_CREATED && is_entry(s, u->block, slot))
		entry_at(s, u->block)->owner &= ~ENTRY_FRESH;
	else if (u->kind == UNDO_KILLED)
		value_type_free_entry(s, u->block, u->at != 0 ? 0 : (uint32_t)u->value,
				      (size_t)(u->value >> 32) * ARENA_UNIT);
	else if (u->kind == UNDO_SAVED)
		arena_free(s->arena, (ref)u->value, (size_t)(u->value >> 32), ARENA_OTHER);
}

static void free_index(struct shard *s, const struct undo_scope *scope) {
	if (scope->index != 0)
		arena_free(s->arena, scope->index, sizeof(uint32_t) << scope->index_bits, ARENA_OTHER);
}

/* Commits all noted changes. The scope has ended before the first check point: the log is no longer in the root. */
static void finish(struct shard *s) {
	struct undo_scope scope = s->scope;
	struct shard_root *root = s->root;
	uint64_t log = root->undo;
	uint32_t count = root->undo_count;

	discharge(s);
	s->scope = (struct undo_scope){0};
	if (count != 0) {
		crash_point();
		root->undo_count = 0;
		crash_point();
	}
	if (scope.marked && --s->marked_scopes == 0)
		arena_mark(s->arena, false);
	free_index(s, &scope);
	if (count == 0 && log >> 32 <= ROOM_KEPT)
		return;
	root->undo = 0;
	for (uint32_t i = 0; i < count; i++) {
		finish_note(s, (const struct undo *)arena_at(s->arena, (ref)log) + i, scope.tenant->slot);
		if (i % STEP == STEP - 1)
			(void)fiber_check();
	}
	if (log >> 32 <= ROOM_KEPT && root->undo == 0)
		root->undo = log;
	else
		free_log(s, log);
}

void keyspace_begin(struct shard *s) {
	s->scope.depth++;
}

void keyspace_begin_transaction(struct shard *s, uint64_t bytes) {
	keyspace_begin(s);
	s->scope.transaction_bytes = bytes;
	s->scope.transaction = true;
}

void keyspace_commit(struct shard *s) {
	assert(s->scope.depth != 0);
	if (s->root->changing != 0)
		check_end(s);
	if (--s->scope.depth == 0)
		finish(s);
}

/* ---- notes ---- */

uint32_t undo_create(struct shard *s, ref block, uint32_t owner) {
	take_tenant(s, tenant_of(s, owner));
	append(s, &(struct undo){.kind = UNDO_CREATED, .block = block});
	return owner | ENTRY_FRESH;
}

void undo_kill(struct shard *s, ref block, size_t size, bool keep) {
	struct entry *e = arena_at(s->arena, block);
	struct undo u = {UNDO_KILLED, block, block == s->moved,
			 e->owner | (uint64_t)(arena_block_size(size) / ARENA_UNIT) << 32};

	keep = keep && !entry_fresh(e);
	if (keep) {
		take_tenant(s, tenant_of(s, e->owner));
		append(s, &u);
		charge(s, size);
	}
	crash_point();
	e->owner = 0;
	crash_point();
	if (!keep)
		value_type_free_entry(s, block, (uint32_t)u.value, size);
}

/* ---- notes of changes in place: each place once a scope ---- */

static bool is_in_place(const struct undo *u) {
	return u->kind == UNDO_HEADER || u->kind == UNDO_BYTES || u->kind == UNDO_SAVED;
}

static bool has_place(const struct undo *u) {
	return is_in_place(u) || u->kind == UNDO_ORDER;
}

static bool is_same_place(const struct undo *a, const struct undo *b) {
	return a->kind == b->kind && a->block == b->block && a->at == b->at &&
	       (a->kind != UNDO_SAVED || a->value >> 32 == b->value >> 32);
}

static uint32_t place_hash(const struct undo *u) {
	uint64_t place = u->at ^ (uint64_t)u->kind << 61 ^ (u->kind == UNDO_SAVED ? u->value >> 32 << 20 : 0);
	uint64_t h = (place ^ (uint64_t)u->block << 29) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

/* Returns the slot of the index that has a note of the same place, or an empty slot. A slot has the number of a note
 * + 1. */
static uint32_t *index_slot(const struct shard *s, ref index, unsigned bits, const struct undo *u) {
	uint32_t *slots = arena_at(s->arena, index), mask = (UINT32_C(1) << bits) - 1, at = place_hash(u) & mask;

	while (slots[at] != 0 && !is_same_place(&undo_log(s)[slots[at] - 1], u))
		at = (at + 1) & mask;
	return &slots[at];
}

/* Makes an index of the notes that have a place. At most half of its slots are in use. Without memory there is no
 * index, and a place may be noted twice. */
static void make_index(struct shard *s) {
	struct undo_scope *scope = &s->scope;
	uint32_t count = s->root->undo_count, placed = 0;
	unsigned bits = INDEX_BITS_MIN;

	for (uint32_t i = 0; i < count; i++)
		placed += has_place(&undo_log(s)[i]);
	while (UINT32_C(1) << bits <= 2 * placed)
		bits++;
	size_t size = sizeof(uint32_t) << bits;
	ref index = arena_alloc_zero(s->arena, size, ARENA_OTHER);

	for (uint32_t i = 0; index != 0 && i < count; i++) {
		if (has_place(&undo_log(s)[i]))
			*index_slot(s, index, bits, &undo_log(s)[i]) = i + 1;
		if (i % STEP == STEP - 1)
			(void)fiber_check();
	}
	if (index != 0)
		charge(s, size);
	free_index(s, scope);
	scope->index = index;
	scope->index_bits = bits;
	scope->indexed = placed;
}

static bool is_noted(const struct shard *s, const struct undo *u) {
	uint32_t count = s->root->undo_count, searched = count < SEARCHED ? count : SEARCHED;

	if (s->scope.index != 0)
		return *index_slot(s, s->scope.index, s->scope.index_bits, u) != 0;
	for (uint32_t i = 0; i < searched; i++)
		if (is_same_place(&undo_log(s)[count - 1 - i], u))
			return true;
	return false;
}

static void append_place(struct shard *s, const struct undo *u) {
	struct undo_scope *scope = &s->scope;

	append(s, u);
	if (scope->index == 0 ? s->root->undo_count > SEARCHED
			      : 2 * scope->indexed >= UINT32_C(1) << scope->index_bits) {
		make_index(s);
	} else if (scope->index != 0) {
		*index_slot(s, scope->index, scope->index_bits, u) = s->root->undo_count;
		scope->indexed++;
	}
}

int undo_note_header(struct shard *s, struct entry *e) {
	struct undo u = {UNDO_HEADER, ref_of(s, e), 0, e->owner | (uint64_t)e->sizes << 32};

	if (is_noted(s, &u))
		return 0;
	if (undo_reserve(tenant_of(s, e->owner), 1) != 0)
		return ATOMDB_E_OOM;
	append_place(s, &u);
	if (!entry_has(e, ENTRY_WIDE))
		return 0;
	return undo_note_bytes(s, e, (size_t)((char *)entry_wide(e) - (char *)e), sizeof(struct block_wide));
}

/* Completes `u` with a block that has the bytes, and appends it. */
static int note_saved(struct shard *s, const struct entry *e, struct undo *u, size_t len) {
	ref saved = arena_alloc_reserve(s->arena, len, ARENA_OTHER);

	if (saved == 0)
		return ATOMDB_E_OOM;
	copy_bytes(arena_at(s->arena, saved), (const char *)e + u->at, len);
	u->value |= saved;
	append_place(s, u);
	charge(s, len);
	return 0;
}

int undo_note_bytes(struct shard *s, const struct entry *e, size_t at, size_t len) {
	struct undo u = {UNDO_BYTES, ref_of(s, e), at | (uint64_t)len << 48, 0};

	if (len == 0)
		return 0;
	if (len > UNDO_INLINE)
		u = (struct undo){UNDO_SAVED, u.block, at, (uint64_t)len << 32};
	else
		memcpy(&u.value, (const char *)e + at, len);
	if (is_noted(s, &u))
		return 0;
	if (undo_reserve(tenant_of(s, e->owner), 1) != 0)
		return ATOMDB_E_OOM;
	if (len > UNDO_INLINE)
		return note_saved(s, e, &u, len);
	append_place(s, &u);
	return 0;
}

int undo_note_dropped(struct tenant *t) {
	struct shard *s = t->shard;

	if (undo_keeps_dropped(s))
		return 0;
	if (undo_reserve(t, 1) != 0)
		return ATOMDB_E_OOM;
	s->scope.dropped_note = s->root->undo_count;
	append(s, &(struct undo){.kind = UNDO_DROPPED, .value = s->root->dropped});
	return 0;
}

int undo_note_order(struct tenant *t) {
	struct shard *s = t->shard;
	struct undo u = {UNDO_ORDER, ref_of(s, t->record), 0, t->record->order};

	if (is_noted(s, &u))
		return 0;
	if (undo_reserve(t, 1) != 0)
		return ATOMDB_E_OOM;
	append_place(s, &u);
	return 0;
}

/* ---- suspension ---- */

/* Takes the databases that the scope dropped out of the shard's list. Other tenants may then drop databases and free
 * them. A rollback needs no note of the list meanwhile: the databases are not in it. */
static void hide_dropped(struct tenant *t) {
	struct shard *s = t->shard;

	if (!undo_keeps_dropped(s))
		return;
	t->suspension.dropped = s->root->dropped;
	crash_point();
	s->root->dropped = database_at(s, s->scope.dropped_last)->next_dropped;
	crash_point();
	undo_log(s)[s->scope.dropped_note].kind = UNDO_NOTHING;
	crash_point();
}

static void show_dropped(struct tenant *t) {
	struct shard *s = t->shard;

	if (!undo_keeps_dropped(s))
		return;
	struct undo *note = &undo_log(s)[s->scope.dropped_note];

	note->value = s->root->dropped;
	crash_point();
	note->kind = UNDO_DROPPED;
	crash_point();
	database_at(s, s->scope.dropped_last)->next_dropped = s->root->dropped;
	crash_point();
	s->root->dropped = t->suspension.dropped;
	crash_point();
}

/* After a crash the log is in the root, in the record, or in both. */
void undo_suspend(struct tenant *t) {
	struct shard *s = t->shard;
	struct shard_root *root = s->root;
	struct tenant_record *record = t->record;

	if (s->scope.depth == 0)
		return;
	assert(s->scope.tenant == NULL || s->scope.tenant == t);
	if (!s->scope.marked && s->marked_scopes++ == 0)
		arena_mark(s->arena, true);
	s->scope.marked = true;
	hide_dropped(t);
	record->undo = root->undo;
	record->changing = root->changing;
	crash_point();
	record->undo_count = root->undo_count;
	crash_point();
	root->undo_count = 0;
	crash_point();
	root->changing = 0;
	root->undo = 0;
	t->suspension.scope = s->scope;
	s->scope = (struct undo_scope){0};
}

void undo_resume(struct tenant *t) {
	struct shard *s = t->shard;
	struct shard_root *root = s->root;
	struct tenant_record *record = t->record;
	uint64_t spare = root->undo;

	assert(s->scope.depth == 0 && root->undo_count == 0 && root->changing == 0);
	if (t->suspension.scope.depth == 0)
		return;
	root->undo_slot = t->slot;
	root->undo = record->undo;
	root->changing = record->changing;
	crash_point();
	root->undo_count = record->undo_count;
	crash_point();
	record->undo_count = 0;
	crash_point();
	record->changing = 0;
	record->undo = 0;
	free_log(s, spare);
	s->scope = t->suspension.scope;
	t->suspension.scope = (struct undo_scope){0};
	show_dropped(t);
}

/* ---- after a crash ---- */

/* Writes `len` saved bytes back to an entry in a block of `block` bytes. */
static void put_back(struct entry *e, size_t block, uint64_t at, const void *bytes, uint64_t len) {
	if (len <= block && at >= sizeof *e && at <= block - len)
		memcpy((char *)e + at, bytes, len);
}

/* Undoes a change in place. */
static void undo_in_place(struct shard *s, const struct undo *u, struct entry *e, size_t block) {
	uint64_t len = u->value >> 32;
	size_t saved;

	if (u->kind == UNDO_HEADER) {
		e->owner = (uint32_t)u->value;
		e->sizes = (uint32_t)(u->value >> 32);
	} else if (u->kind == UNDO_BYTES) {
		len = u->at >> 48;
		if (len <= sizeof u->value)
			put_back(e, block, u->at & (((uint64_t)1 << 48) - 1), &u->value, len);
	} else if (arena_find_block(s->arena, (ref)u->value, ARENA_OTHER, &saved) && len <= saved) {
		put_back(e, block, u->at, arena_at(s->arena, (ref)u->value), len);
	}
}

/* Undoes a note. The block of a fresh entry or of an evicted entry may be an entry of another tenant now. */
static void undo_entry_note(struct shard *s, const struct undo *u, uint32_t slot) {
	size_t block;

	if (!arena_find_block(s->arena, u->block, ARENA_ENTRY, &block))
		return;
	struct entry *e = arena_at(s->arena, u->block);
	bool owned = e->owner != 0 && (slot == 0 || entry_tenant(e) == slot);

	if (u->kind == UNDO_KILLED)
		e->owner = (uint32_t)u->value;
	else if (u->kind == UNDO_CREATED && owned && (slot == 0 || entry_fresh(e)))
		e->owner = 0;
	else if (is_in_place(u) && owned)
		undo_in_place(s, u, e, block);
}

static void undo_note(struct shard *s, const struct undo *u, uint32_t slot) {
	size_t block;

	if (u->kind == UNDO_DROPPED) {
		s->root->dropped = (ref)u->value;
	} else if (u->kind == UNDO_ORDER) {
		if (arena_find_block(s->arena, u->block, ARENA_OTHER, &block) && block >= TENANT_RECORD_LEAST)
			((struct tenant_record *)arena_at(s->arena, u->block))->order = u->value;
	} else {
		undo_entry_note(s, u, slot);
	}
}

static void roll_back(struct shard *s, uint64_t undo, uint32_t count, uint32_t slot,
		      void (*changed)(struct shard *s, ref block)) {
	size_t block;

	if (count == 0 || !arena_find_block(s->arena, (ref)undo, ARENA_OTHER, &block) ||
	    count > block / sizeof(struct undo))
		return;
	const struct undo *log = arena_at(s->arena, (ref)undo);

	for (uint32_t i = count; i-- > 0;)
		undo_note(s, &log[i], slot);
	for (uint32_t i = count; i-- > 0;)
		if (is_in_place(&log[i]))
			changed(s, log[i].block);
}

void undo_recover(struct shard *s, void (*changed)(struct shard *s, ref block)) {
	roll_back(s, s->root->undo, s->root->undo_count, s->root->undo_slot, changed);
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant_record *record = record_with_undo(s, i);
		if (record != NULL)
			roll_back(s, record->undo, record->undo_count, i, changed);
	}
}

void undo_clear(struct shard *s) {
	s->root->undo_count = 0;
	s->root->changing = 0;
	s->root->undo = 0;
	for (uint32_t i = 1; i < s->slots; i++) {
		struct tenant_record *record = record_with_undo(s, i);
		if (record == NULL)
			continue;
		record->undo_count = 0;
		record->changing = 0;
		record->undo = 0;
	}
	crash_point();
	arena_mark(s->arena, false);
}
