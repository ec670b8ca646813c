/* The undo log in the arena, for writes to several keys and in place.
 *
 * Inside a scope, what was there before it is kept: an entry that is replaced or removed is taken out of everything and
 * its header cleared, but its block is freed by the commit only; what is changed in place is noted with its old bytes.
 * The commit is one store, of the count of notes. Recovery of a scope that was not committed takes the notes back, the
 * last one first. Entries that the scope itself made are fresh: they need no notes when they change, and go at once
 * when they are replaced or removed.
 *
 * The tenant is charged for what the scope keeps, and for a long log. A single command is not asked for that room,
 * since it gives it back at its end; the commands of a long transaction are: see quota_has_to_fit().
 *
 * What the quota evicts and the clock expires is no part of it: it may go at any time, and is not brought back.
 *
 * When there is no memory for the log, what was done so far is committed and the rest is done without one. */
#pragma once

#include "atomdb/store/undo.h"
#include "store/keyspace/record.h"

enum undo_kind {
	UNDO_NOTHING,
	UNDO_CREATED, /* block */
	UNDO_KILLED,  /* block; value: owner, and its units of 16 bytes << 32 */
	UNDO_HEADER,  /* block; value: owner and sizes << 32, of an entry that stays */
	UNDO_BYTES,   /* block; at: offset, and length << 48, 1 to 8; value: the bytes */
	UNDO_SAVED,   /* block; at: offset; value: a block with the bytes, and their count << 32 */
	UNDO_DROPPED, /* value: the shard's list of dropped databases */
	UNDO_ORDER,   /* block: of a tenant's record; value: its order of databases */
};

struct undo {
	uint32_t kind;
	ref block;
	uint64_t at;
	uint64_t value;
};

static inline struct undo *undo_log(const struct shard *s) {
	return arena_at(s->arena, (ref)s->root->undo);
}

/* Whether changes are to be noted. */
static inline bool undo_active(const struct shard *s) {
	return __builtin_expect(s->undo_noting, 0);
}
/* Whether an entry may change without a note. */
static inline bool undo_is_free(const struct shard *s, const struct entry *e) {
	return !undo_active(s) || entry_fresh(e);
}

/* Whether what was dropped may have to come back. */
static inline bool undo_keeps_dropped(const struct shard *s) {
	return undo_active(s) && s->undo_dropped;
}

/* Whether the open scope keeps the block of an entry until after the command that replaces or removes it. See
 * quota_has_to_fit(). */
static inline bool undo_keeps(const struct shard *s, const struct entry *e) {
	return undo_active(s) && s->transaction && !entry_fresh(e);
}

/* All are for an active scope. */

/* Notes a new block, whose header is not published yet; returns the owner that it is published with. */
uint32_t undo_create(struct shard *s, ref block, uint32_t owner);
/* Clears the header of an entry that is in no table or list any more, and sees to its block. `keep`: it comes back if
 * the scope is not committed. */
void undo_kill(struct shard *s, ref block, size_t size, bool keep);
/* Notes owner and sizes of an entry, and the lengths of a wide one. */
void undo_note_header(struct shard *s, struct entry *e);
/* So many bytes are kept in the note itself. */
#define UNDO_INLINE 8
/* Notes `len` bytes at `at` from the start of an entry's block; false: no memory, nothing may be changed in place. */
bool undo_note_bytes(struct shard *s, const struct entry *e, size_t at, size_t len);
void undo_note_dropped(struct shard *s);
void undo_note_order(struct shard *s, const struct tenant_record *record);

/* Takes back what an arena's last owner did not commit, and visits what may be an entry of which something was put
 * back. Every note is checked: the arena may be damaged. */
void undo_recover(struct shard *s, void (*changed)(struct shard *s, ref block));
