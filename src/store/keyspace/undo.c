#include "store/keyspace/undo.h"

#include <assert.h>
#include <string.h>

#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/check.h"
#include "store/keyspace/value_type.h"

#define ROOM_MIN  64u
#define ROOM_KEPT 1024u

static ref ref_of(const struct shard *s, const void *at) {
	return (ref)((size_t)((const char *)at - (const char *)arena_at(s->arena, 0)) / ARENA_UNIT);
}

/* ---- the charge ---- */

/* Sets the tenant of the scope, which is the owner of the first noted entry. */
static void take_tenant(struct shard *s, uint32_t owner) {
	if (s->undo_tenant == NULL)
		s->undo_tenant = s->tenants[owner & ENTRY_TENANT_MAX];
}

static void charge(struct shard *s, size_t size) {
	if (s->undo_tenant == NULL)
		return;
	counter_add(&s->undo_tenant->counters.bytes, arena_block_size(size));
	s->undo_bytes += arena_block_size(size);
}

static void discharge(struct shard *s) {
	if (s->undo_tenant != NULL)
		counter_sub(&s->undo_tenant->counters.bytes, s->undo_bytes);
	s->undo_tenant = NULL;
	s->undo_bytes = 0;
}

/* ---- the log ---- */

static uint32_t room_of(const struct shard *s) {
	return (uint32_t)(s->root->undo >> 32);
}

static void free_log(struct shard *s) {
	ref log = (ref)s->root->undo;
	uint32_t room = room_of(s);

	s->root->undo = 0;
	if (log != 0)
		arena_free(s->arena, log, room * sizeof(struct undo), ARENA_OTHER);
}

static bool grow(struct shard *s) {
	uint32_t count = s->root->undo_count, room = room_of(s) == 0 ? ROOM_MIN : room_of(s) * 2;
	ref log = arena_alloc_reserve(s->arena, room * sizeof(struct undo), ARENA_OTHER), old = (ref)s->root->undo;

	if (log == 0)
		return false;
	if (count != 0)
		memcpy(arena_at(s->arena, log), undo_log(s), count * sizeof(struct undo));
	uint32_t old_room = room_of(s);

	/* A tenant is charged only for a log longer than the one that the shard keeps. */
	if (room > ROOM_KEPT)
		charge(s, (room - old_room) * sizeof(struct undo));
	crash_point();
	s->root->undo = log | (uint64_t)room << 32;
	crash_point();
	if (old != 0)
		arena_free(s->arena, old, old_room * sizeof(struct undo), ARENA_OTHER);
	return true;
}

/* Returns whether the noted block is an entry now. It may be another entry that reuses the block. */
static bool is_entry(const struct shard *s, ref block) {
	size_t size;

	return arena_find_block(s->arena, block, ARENA_ENTRY, &size) &&
	       ((const struct entry *)arena_at(s->arena, block))->owner != 0;
}

/* Commits all noted changes. */
static void finish(struct shard *s) {
	uint32_t count = s->root->undo_count;

	s->undo_noting = false;
	s->undo_dropped = false;
	discharge(s);
	if (count == 0)
		return;
	crash_point();
	s->root->undo_count = 0;
	crash_point();
	for (const struct undo *u = undo_log(s), *end = u + count; u < end; u++) {
		struct entry *e = arena_at(s->arena, u->block);

		if (u->kind == UNDO_CREATED && is_entry(s, u->block))
			e->owner &= ~ENTRY_FRESH;
		else if (u->kind == UNDO_KILLED)
			value_type_free_entry(s, u->block, u->at != 0 ? 0 : (uint32_t)u->value,
					      (size_t)(u->value >> 32) * ARENA_UNIT);
		else if (u->kind == UNDO_SAVED)
			arena_free(s->arena, (ref)u->value, (size_t)(u->value >> 32), ARENA_OTHER);
	}
	if (room_of(s) > ROOM_KEPT)
		free_log(s);
}

static bool append(struct shard *s, const struct undo *u) {
	uint32_t count = s->root->undo_count;

	if (count == room_of(s) && (count >= UINT32_MAX / 4 || !grow(s))) {
		finish(s);
		return false;
	}
	undo_log(s)[count] = *u;
	crash_point();
	s->root->undo_count = count + 1;
	crash_point();
	return true;
}

void keyspace_begin(struct shard *s) {
	if (s->undo_depth++ == 0)
		s->undo_noting = true;
}

void keyspace_begin_transaction(struct shard *s, uint64_t bytes) {
	keyspace_begin(s);
	s->transaction_bytes = bytes;
	s->transaction = true;
}

void keyspace_commit(struct shard *s) {
	assert(s->undo_depth != 0);
	if (s->root->changing != 0)
		check_end(s);
	if (--s->undo_depth != 0)
		return;
	if (s->undo_noting)
		finish(s);
	s->transaction = false;
	s->transaction_bytes = 0;
}

/* ---- notes ---- */

uint32_t undo_create(struct shard *s, ref block, uint32_t owner) {
	take_tenant(s, owner);
	return append(s, &(struct undo){.kind = UNDO_CREATED, .block = block}) ? owner | ENTRY_FRESH : owner;
}

void undo_kill(struct shard *s, ref block, size_t size, bool keep) {
	struct entry *e = arena_at(s->arena, block);
	struct undo u = {UNDO_KILLED, block, block == s->moved,
			 e->owner | (uint64_t)(arena_block_size(size) / ARENA_UNIT) << 32};

	keep = keep && !entry_fresh(e);
	if (keep)
		take_tenant(s, e->owner);
	keep = keep && append(s, &u);
	if (keep)
		charge(s, size);
	crash_point();
	e->owner = 0;
	crash_point();
	if (!keep)
		value_type_free_entry(s, block, (uint32_t)u.value, size);
}

void undo_note_header(struct shard *s, struct entry *e) {
	struct undo u = {UNDO_HEADER, ref_of(s, e), 0, e->owner | (uint64_t)e->sizes << 32};

	take_tenant(s, e->owner);
	if (append(s, &u) && entry_has(e, ENTRY_WIDE))
		(void)undo_note_bytes(s, e, (size_t)((char *)entry_wide(e) - (char *)e), sizeof(struct block_wide));
}

bool undo_note_bytes(struct shard *s, const struct entry *e, size_t at, size_t len) {
	struct undo u = {UNDO_BYTES, ref_of(s, e), at | (uint64_t)len << 48, 0};

	take_tenant(s, e->owner);
	if (len == 0)
		return true;
	if (len <= sizeof u.value) {
		memcpy(&u.value, (const char *)e + at, len);
		(void)append(s, &u);
		return true;
	}
	ref saved = arena_alloc_reserve(s->arena, len, ARENA_OTHER);

	if (saved == 0)
		return false;
	memcpy(arena_at(s->arena, saved), (const char *)e + at, len);
	u = (struct undo){UNDO_SAVED, u.block, at, saved | (uint64_t)len << 32};
	if (append(s, &u))
		charge(s, len);
	else
		arena_free(s->arena, saved, len, ARENA_OTHER);
	return true;
}

void undo_note_dropped(struct shard *s) {
	s->undo_dropped = append(s, &(struct undo){.kind = UNDO_DROPPED, .value = s->root->dropped});
}

void undo_note_order(struct shard *s, const struct tenant_record *record) {
	(void)append(s, &(struct undo){.kind = UNDO_ORDER, .block = ref_of(s, record), .value = record->order});
}

/* ---- after a crash ---- */

/* Writes `len` saved bytes back to a live entry in a block of `block` bytes. */
static void put_back(struct entry *e, size_t block, uint64_t at, const void *bytes, uint64_t len) {
	if (e->owner != 0 && len <= block && at >= sizeof *e && at <= block - len)
		memcpy((char *)e + at, bytes, len);
}

static void take_back_of_entry(struct shard *s, const struct undo *u) {
	size_t block, saved;

	if (!arena_find_block(s->arena, u->block, ARENA_ENTRY, &block))
		return;
	struct entry *e = arena_at(s->arena, u->block);
	uint64_t len = u->value >> 32;

	switch (u->kind) {
	case UNDO_CREATED:
		e->owner = 0;
		break;
	case UNDO_KILLED:
		e->owner = (uint32_t)u->value;
		break;
	case UNDO_HEADER:
		/* The entry may have been evicted since. */
		if (e->owner != 0) {
			e->owner = (uint32_t)u->value;
			e->sizes = (uint32_t)(u->value >> 32);
		}
		break;
	case UNDO_BYTES:
		len = u->at >> 48;
		if (len <= sizeof u->value)
			put_back(e, block, u->at & (((uint64_t)1 << 48) - 1), &u->value, len);
		break;
	case UNDO_SAVED:
		if (arena_find_block(s->arena, (ref)u->value, ARENA_OTHER, &saved) && len <= saved)
			put_back(e, block, u->at, arena_at(s->arena, (ref)u->value), len);
		break;
	default:
		break;
	}
}

static void take_back(struct shard *s, const struct undo *u) {
	size_t block;

	if (u->kind == UNDO_DROPPED) {
		s->root->dropped = (ref)u->value;
	} else if (u->kind == UNDO_ORDER) {
		if (arena_find_block(s->arena, u->block, ARENA_OTHER, &block) && block >= TENANT_RECORD_LEAST)
			((struct tenant_record *)arena_at(s->arena, u->block))->order = u->value;
	} else {
		take_back_of_entry(s, u);
	}
}

void undo_recover(struct shard *s, void (*changed)(struct shard *s, ref block)) {
	uint32_t count = s->root->undo_count;
	size_t block;

	if (count == 0 || !arena_find_block(s->arena, (ref)s->root->undo, ARENA_OTHER, &block) ||
	    count > block / sizeof(struct undo))
		return;
	const struct undo *log = undo_log(s);

	for (uint32_t i = count; i-- > 0;)
		take_back(s, &log[i]);
	for (uint32_t i = count; i-- > 0;)
		if (log[i].kind == UNDO_HEADER || log[i].kind == UNDO_BYTES || log[i].kind == UNDO_SAVED)
			changed(s, log[i].block);
}
