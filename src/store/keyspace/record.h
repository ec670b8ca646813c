/* The structs of a shard and its tenants, in the arena and in the process. Private to the store.
 *
 *   shard_root -> tenants: refs by slot -> tenant_record -> databases -> table -> entries
 *        |                                      '-> lru -> entries
 *        '-> wheel -> entries
 * Objects in the arena name each other by ref. The process keeps the tenants' limits, counters and sessions. */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "atomdb/store/memory_budget.h"
#include "atomdb/store/shard_counters.h"
#include "atomdb/store/tenant_state.h"
#include "atomdb/util/hash.h"
#include "store/arena/adopt.h"
#include "store/arena/arena.h"
#include "store/arena/fragmentation.h"
#include "store/index/lru.h"
#include "store/index/table.h"
#include "store/index/wheel.h"
#include "store/keyspace/entry.h"

/* A database, in the arena. */
struct database {
	struct table table;
	uint64_t expiring;    /* entries with a deadline */
	uint64_t bytes;       /* charged for its entries, its table and this struct */
	uint64_t table_bytes; /* the part of `bytes` that is for the table */
	uint64_t cursor;      /* once dropped: of table_drain() */
	ref next_dropped;
	ref next_resizing;
	uint32_t tenant; /* its slot */
	uint32_t db_slot;
	uint32_t lru_number; /* once dropped: of the tenant's LRU that has its entries, see struct tenant_record */
	bool resizing;       /* in the shard's list of resizes */
};

/* The record of a tenant, in the arena. */
struct tenant_record {
	struct lru lru;
	uint32_t lru_number; /* incremented when the list is abandoned, with the entries of dropped databases in it */
	/* An entry names the slot of its database, not its number, so SWAPDB need not change entries. */
	uint8_t db_slots[TENANT_DATABASES]; /* the slot of a database, by its number */
	uint8_t numbers[TENANT_DATABASES];  /* the number of a database, by its slot */
	ref databases[TENANT_DATABASES];    /* by slot */
	uint32_t client_ids_low;            /* lower half of the client ID that was given last; 0: none was given */
	uint64_t order;                     /* the slots by number again, 4 bits each: one store changes it */
	struct tenant_identity identity;
	uint32_t client_ids_high;     /* upper half of that ID; earlier releases left zeros in both halves */
	uint64_t digest_sum;          /* checksum of identity.digest */
	uint64_t name_sum;            /* checksum of identity.name; 0: there is no name yet */
	struct retired_counters kept; /* the counters of the tenant when it was saved */
	uint64_t limits[KEY_LIMITS];  /* see src/store/tenant/saved_limits.h */
	/* While a command is suspended in a scope: the root's fields of these names are moved here. */
	uint64_t undo;
	uint32_t undo_count;
	ref changing;
	uint64_t spare;          /* 0 */
	struct block_ttl parked; /* the list of due entries of a suspended tenant: see wheel_park() */
	/* Fields may be added here. A release adopts records of any size from TENANT_RECORD_LEAST bytes on, and bytes
	 * that the other release did not have are 0. */
#ifdef ATOMDB_OTHER_RELEASE
	uint64_t of_another_release[3]; /* in a test build */
#endif
};

#define TENANT_RECORD_LEAST 304
static_assert(sizeof(struct tenant_record) >= TENANT_RECORD_LEAST && offsetof(struct tenant_record, order) == 112 &&
		      offsetof(struct tenant_record, digest_sum) == 224 &&
		      offsetof(struct tenant_record, kept) == 240 &&
		      offsetof(struct tenant_record, limits) == TENANT_RECORD_LEAST &&
		      offsetof(struct tenant_record, parked) % ARENA_UNIT == 0,
	      "a record keeps its format");

/* A slot of the directory of tenants, in the arena. */
struct tenant_slot {
	ref record;       /* 0: the slot is free, or databases of a closed tenant are still being freed */
	uint32_t dropped; /* databases that are being freed */
};

/* The root of a shard: the first block of its arena. */
struct shard_root {
	struct wheel wheel;
	int64_t used_skew;  /* added to monotonic milliseconds for entry_used_at(); 0: not known yet */
	ref pinned;         /* between two processes: list of the pinned blocks that have no key, see pin.c */
	uint32_t spare[51]; /* zeros */
	struct hash_seed seed;
	uint64_t seed_sum;  /* a hash of a constant with that seed */
	uint64_t directory; /* a block of struct tenant_slot, and their number << 32 */
	uint64_t undo;      /* a block of struct undo, and their number << 32: see undo.h */
	uint64_t replaced;  /* the entry that was replaced last, and the valid one that replaced it << 32 */
	uint32_t undo_count;
	ref changing; /* the entry that is being changed in place, whose check may not fit; 0: none */
	ref dropped;  /* list of databases that are being freed */
	ref resizing; /* list of databases whose table is being resized */
	struct retired_counters retired;
	uint32_t undo_slot; /* the slot of the tenant that the notes in `undo` belong to; 0: an earlier release wrote
			       them */
			    /* Fields may be added here, up to SHARD_ROOT_MOST bytes: see arena_fit_root(). */
#ifdef ATOMDB_OTHER_RELEASE
	uint64_t of_another_release[3]; /* in a test build */
#endif
};

/* The bytes of the smallest root that a release with this format writes, and of the block that the root lies in. */
#define SHARD_ROOT_LEAST 3040
#define SHARD_ROOT_MOST  3072
static_assert(offsetof(struct shard_root, seed) == 2912 && sizeof(struct shard_root) >= SHARD_ROOT_LEAST &&
		      sizeof(struct shard_root) <= SHARD_ROOT_MOST,
	      "the root is part of the arena's format");

/* The compaction of a shard: see src/store/shard/compact.h. */
struct value_types;

struct compaction {
	uint64_t least; /* the fewest bytes lost in slabs since the last compaction ended */
	bool purge;     /* the slack also goes back to the kernel when it ends */
	struct fragmentation fragmentation;
};

/* The fair share of memory: see fair_share.h. */
struct fair_share {
	/* Publishes the level for the tenants of all shards as if `wanted` more bytes were taken. NULL: there are no
	 * other tenants. */
	void (*measure)(void *context, struct memory_budget *b, uint64_t wanted);
	void *context;
	struct tenant *furthest; /* the tenant furthest above the level, whose entries are evicted; or NULL */
	uint64_t level;          /* bytes, for this turn; UINT64_MAX: no tenant has to give way */
	uint64_t made_up;        /* bytes that the running write has evicted for itself */
	uint64_t none_at;        /* the number of a level that no tenant of this shard was above */
	uint64_t taken;          /* bytes asked for since the level was computed */
	uint64_t look_ns;        /* the time to compute it again if it changes nothing in this shard */
	uint32_t pause_ms;       /* the last delay of that computation */
};

/* A shard, in the process. */
struct shard {
	struct arena *arena; /* owned */
	struct table_context context;
	struct shard_root *root;
	int64_t now_ms;     /* the time of the running command */
	int64_t clock_ms;   /* the time of the turn: now_ms, unless a suspended command was resumed */
	int64_t skew_ms;    /* difference of the clock to monotonic time when the clock was set last */
	int64_t stepped_ms; /* now_ms when the clock was set last: no entry is late by more than the time since */
	int64_t compare_ms; /* the next time at which the clock is compared with monotonic time */
	uint32_t used_now;  /* entry_used_at(shard_used_ms()) */
	uint64_t now_ns;
	uint64_t draws;                  /* number of random keys that were drawn */
	const struct value_types *types; /* not owned: value_type.h */
	ref moved;                       /* an entry whose value another entry has already, while it is removed; or 0 */
	struct tenant **tenants;         /* owned array, by slot; NULL: the slot has no open tenant */
	uint32_t slots;                  /* size of that array and of the directory */
	struct undo_scope scope;         /* the scope of the running command */
	unsigned marked_scopes;          /* open scopes that have been suspended */
	struct uncounted *uncounted;     /* the entry that the running command has taken out of the counts; or NULL */
	int64_t held_ms;                 /* CLOCK_MONOTONIC: the earliest end of a tenant's hold of expired entries */
	struct tenant_limits defaults;
	struct list over;      /* tenants above their quota, which was lowered */
	struct list catch_up;  /* resumed tenants with work that waited for the resumption */
	struct list pins;      /* pinned values: see pin.h */
	bool keeps_pinned;     /* pins_keep() was called */
	bool restores_clients; /* set by shard_restore_clients() */
	struct fair_share fair_share;
	const struct work_account *account; /* not owned; or NULL: see work.h */
	struct tenant *works_for;           /* during a slice of work: the tenant that the account knows; or NULL */
	bool works;                         /* during a slice of work */
	unsigned id;
	unsigned worker;
	counter *progress; /* of recovery: see struct shard_options; or NULL */
	struct compaction compaction;
	struct shard_counters counters;
	struct shard_recovery recovery;
};

/* Returns the time by which the use of entries is recorded, in milliseconds. A set clock does not change it. */
static inline int64_t shard_used_ms(const struct shard *s) {
	return (int64_t)(s->now_ns / 1000000) + s->root->used_skew;
}

static inline struct tenant_slot *shard_directory(const struct shard *s) {
	return arena_at(s->arena, (ref)s->root->directory);
}

static inline struct database *database_at(const struct shard *s, ref block) {
	return block == 0 ? NULL : arena_at(s->arena, block);
}

static inline struct database *tenant_database(const struct tenant *t, unsigned db_slot) {
	return database_at(t->shard, t->record->databases[db_slot]);
}

static inline struct entry *entry_at(const struct shard *s, ref block) {
	return arena_at(s->arena, block);
}

static inline ref entry_ref(const struct shard *s, const struct entry *e) {
	return (ref)((size_t)((const char *)e - (const char *)arena_at(s->arena, 0)) / ARENA_UNIT);
}

/* The time by which the shard expires entries. A suspended command that goes on has a time of its own, which may be
 * later than the clock if the clock was set back. */
static inline int64_t shard_sweep_ms(const struct shard *s) {
	return s->now_ms < s->clock_ms ? s->now_ms : s->clock_ms;
}

static inline bool entry_due(const struct shard *s, const struct entry *e) {
	return entry_has(e, ENTRY_TTL) && entry_deadline(e) <= s->now_ms;
}

/* Returns the list of a tenant's parked entries, for wheel_park(). */
static inline ref record_parked(const struct shard *s, const struct tenant *t) {
	size_t at = offsetof(struct tenant_record, parked) - sizeof(struct block);
	return shard_directory(s)[t->slot].record + (ref)(at / ARENA_UNIT);
}

/* Returns the record of a slot, if it has the fields of a suspended scope. Returns NULL for a record of an earlier
 * release, and if there is none. */
struct tenant_record *record_with_undo(const struct shard *s, uint32_t slot);

/* Holds the parked entries of a tenant until the next sweep, and empties the list in the record. */
void record_unpark(struct tenant *t);

/* The order of databases in which each number is its own slot. */
#define RECORD_ORDER 0xfedcba9876543210u
/* Fills `db_slots` and `numbers` from `order`. */
void record_read_order(struct tenant_record *record);

/* Writes an identity and its checksums to a record that is not published yet. */
void record_set_identity(struct tenant_record *record, const struct tenant_identity *i);
/* Writes the identity of an open tenant to its record, for the next process. No scope may be open. */
void record_write_identity(struct tenant *t);

/* Adds to `r` those counters of a tenant that outlive it. */
void record_add_counters(struct retired_counters *r, const struct tenant_counters *f);
/* Adds `r` to the counters of a tenant. */
void record_restore_counters(struct tenant_counters *f, const struct retired_counters *r);

/* Returns whether the tenant's due entries stay, invisible to commands: see shard_hold_expired(). */
static inline bool tenant_holds_expired(const struct tenant *t) {
	return __builtin_expect(t->hold_end_ms != 0, 0) && t->hold_end_ms > (int64_t)(t->shard->now_ns / 1000000);
}
