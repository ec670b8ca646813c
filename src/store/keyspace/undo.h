/* The undo log: rolls back writes to several keys, and changes in place, that a crash interrupted.
 *
 * Inside a scope, the former state is kept. An entry that is replaced or removed leaves all tables and lists, and its
 * header is cleared, but only the commit frees its block. A change in place is noted with the old bytes, once a scope
 * for the same bytes. The commit is one store, of the number of notes. Recovery of a scope that was not committed
 * undoes its notes, the last one first. An entry that the scope itself made is fresh: its changes need no notes, and
 * its block is freed at once when it is replaced or removed.
 *
 * A scope belongs to one tenant. The root of the shard names the log of the running command. If the command is
 * suspended, the log moves to the tenant's record: see undo_suspend(). A block that the scope freed may be an entry of
 * another tenant by then, so a rollback changes only entries of the scope's tenant. A second rollback changes nothing.
 *
 * The tenant is charged for the kept blocks and for a long log. The quota does not limit a single command in this,
 * because the command releases the memory at its end. It does limit a long transaction: see quota_has_to_fit().
 *
 * The log does not cover evictions and expiry. They may happen at any time, and recovery does not bring such entries
 * back.
 *
 * A write first makes room for its notes. Without memory for the log it is refused, and changes nothing. */
#pragma once

#include "atomdb/store/undo.h"
#include "store/keyspace/record.h"

enum undo_kind {
	UNDO_NOTHING,
	UNDO_CREATED, /* block */
	UNDO_KILLED,  /* block; value: owner, and size in units of 16 bytes << 32; at: 1 if the value has moved to
		       * another entry, which only the commit reads */
	UNDO_HEADER,  /* block; value: owner, and sizes << 32 */
	UNDO_BYTES,   /* block; at: offset, and length (1 to 8) << 48; value: the bytes */
	UNDO_SAVED,   /* block; at: offset; value: a block with the bytes, and their number << 32 */
	UNDO_DROPPED, /* value: the head of the shard's list of dropped databases */
	UNDO_ORDER,   /* block: a tenant's record; value: its order of databases */
};

/* A note of the log, in the arena. enum undo_kind lists the contents of the fields. */
struct undo {
	uint32_t kind; /* enum undo_kind */
	ref block;
	uint64_t at;
	uint64_t value;
};

static inline struct undo *undo_log(const struct shard *s) {
	return arena_at(s->arena, (ref)s->root->undo);
}

/* Returns whether changes are to be noted. */
static inline bool undo_active(const struct shard *s) {
	return __builtin_expect(s->scope.depth != 0, 0);
}

/* Returns whether an entry may change without a note. */
static inline bool undo_is_free(const struct shard *s, const struct entry *e) {
	return !undo_active(s) || entry_fresh(e);
}

/* Returns whether the running command's scope may still roll back a dropped database. */
static inline bool undo_keeps_dropped(const struct shard *s) {
	return s->scope.dropped_last != 0;
}

/* Returns whether the open scope is a transaction that keeps the block of the entry when a command replaces or removes
 * it. See quota_has_to_fit(). */
static inline bool undo_keeps(const struct shard *s, const struct entry *e) {
	return undo_active(s) && s->scope.transaction && !entry_fresh(e);
}

/* Returns the scope of a tenant's command, running or suspended. All zeros if none is open. */
const struct undo_scope *undo_scope_of(const struct tenant *t);

/* The notes of a replacement, of a removal, and of a move of an entry to another key. */
#define UNDO_REPLACE 2u
#define UNDO_REMOVE  1u
#define UNDO_MOVE    (UNDO_REPLACE + UNDO_REMOVE)

/* The functions below may be called only if undo_active() is true, except for undo_make_room(). undo_create() and
 * undo_kill() use room that undo_reserve() made; the others make room themselves. */

/* Makes room for `notes` notes of the tenant. Returns 0 or ATOMDB_E_OOM. Has check points. */
__attribute__((cold)) int undo_reserve(struct tenant *t, uint64_t notes);
/* The same. Does nothing if changes are not noted. */
static inline int undo_make_room(struct tenant *t, uint64_t notes) {
	return undo_active(t->shard) ? undo_reserve(t, notes) : 0;
}

/* Notes a new block, whose header is not published yet. Returns the owner to publish it with. */
uint32_t undo_create(struct shard *s, ref block, uint32_t owner);
/* Clears the header of an entry that is in no table or list any more, and frees its block of `size` bytes. If `keep` is
 * true, the commit frees the block, and a rollback restores the entry. */
void undo_kill(struct shard *s, ref block, size_t size, bool keep);
/* Notes the owner and sizes of an entry, and the lengths of a wide entry. Returns 0; or ATOMDB_E_OOM, and the caller
 * must not change them. Has check points. */
int undo_note_header(struct shard *s, struct entry *e);
/* The most bytes that a note itself holds. */
#define UNDO_INLINE 8
/* Notes the `len` bytes at offset `at` of an entry. Otherwise like undo_note_header(). */
int undo_note_bytes(struct shard *s, const struct entry *e, size_t at, size_t len);
/* Notes the shard's list of dropped databases, unless the scope has dropped one before. Returns 0 or ATOMDB_E_OOM. */
int undo_note_dropped(struct tenant *t);
/* Notes the order of the tenant's databases. Returns 0 or ATOMDB_E_OOM. */
int undo_note_order(struct tenant *t);

/* Moves the scope of the running command, which is the tenant's, to the tenant; and back. In constant time. Does
 * nothing if none is open. */
void undo_suspend(struct tenant *t);
void undo_resume(struct tenant *t);

/* Rolls back the scopes that the last process did not commit. Calls `changed` for each block of an entry whose bytes
 * may have been restored. Checks every note: the arena may be damaged. */
void undo_recover(struct shard *s, void (*changed)(struct shard *s, ref block));
/* Clears the logs after the rollback. */
void undo_clear(struct shard *s);
