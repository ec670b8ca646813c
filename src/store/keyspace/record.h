/* How a shard and its tenants lie in the arena, and what the process keeps beside it. Private to the store.
 *
 *   shard_root -> tenants: refs by slot -> tenant_record -> databases -> table -> entries
 *        |                                      '-> lru -> entries
 *        '-> wheel -> entries
 *
 * Everything in the arena names other things by ref. The process keeps the tenants' limits, counters and sessions. */
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

/* In the arena. */
struct database {
	struct table table;
	uint64_t expiring;    /* entries with a deadline */
	uint64_t bytes;       /* charged for its entries, its table and itself */
	uint64_t table_bytes; /* of these, for the table */
	uint64_t cursor;      /* of table_drain, once dropped */
	ref next_dropped;
	ref next_resizing;
	uint32_t tenant; /* slot */
	uint32_t db_slot;
	uint32_t lru;  /* once dropped: the lru_number of the list that its entries hang in */
	bool resizing; /* in the list of tables under way */
};

/* In the arena. */
struct tenant_record {
	struct lru lru;
	uint32_t lru_number; /* rises when the list is given up: what still hangs in it belongs to dropped databases */
	/* Entries name the place of their database, not its number, so that SWAPDB need not touch them. */
	uint8_t db_slots[TENANT_DATABASES]; /* where a database is, by number */
	uint8_t numbers[TENANT_DATABASES];  /* which database is there, by place */
	ref databases[TENANT_DATABASES];    /* by place */
	uint32_t client_ids_low;            /* of the id that a client was given last; 0: none was */
	uint64_t order;                     /* the places again, 4 bits each: changed by one store */
	struct tenant_identity identity;
	uint32_t client_ids_high;     /* the upper half of it: both lie where earlier releases left zeros */
	uint64_t digest_sum;          /* of identity.digest */
	uint64_t name_sum;            /* of identity.name; 0: it has none yet */
	struct retired_counters kept; /* what the tenant has counted, when saved */
	uint64_t limits[KEY_LIMITS];  /* see src/store/tenant/saved_limits.h */
	/* Fields may be added here: a release takes over records of any size from TENANT_RECORD_LEAST on, and bytes
	 * that the release before did not know are 0. */
#ifdef ATOMDB_OTHER_RELEASE
	uint64_t of_another_release[3]; /* in a build for the tests */
#endif
};

#define TENANT_RECORD_LEAST 304
static_assert(sizeof(struct tenant_record) >= TENANT_RECORD_LEAST && offsetof(struct tenant_record, order) == 112 &&
		      offsetof(struct tenant_record, digest_sum) == 224 &&
		      offsetof(struct tenant_record, kept) == 240 &&
		      offsetof(struct tenant_record, limits) == TENANT_RECORD_LEAST,
	      "a record keeps its format");

/* In the arena: a slot of the directory of tenants. */
struct tenant_slot {
	ref record;       /* 0: free, or still being freed */
	uint32_t dropped; /* databases that are waiting to be freed */
};

/* In the arena, its first block. */
struct shard_root {
	struct wheel wheel;
	int64_t used_skew; /* what is added to monotonic milliseconds for entry_used_at; 0: not known yet */
	ref pinned; /* while no process has the arena: blocks of values that are being sent and have no key, see pin.c
		     */
	uint32_t spare[51]; /* 0 */
	struct hash_seed seed;
	uint64_t seed_sum;  /* a hash with that seed */
	uint64_t directory; /* a block of struct tenant_slot, and how many << 32 */
	uint64_t undo;      /* a block of struct undo, and how many << 32: see undo.h */
	uint64_t replaced;  /* an entry, and << 32 the one that took its place last: of the two, it counts */
	uint32_t undo_count;
	ref changing; /* an entry whose check may not fit, since it is being changed in place; 0: none */
	ref dropped;  /* databases being freed in slices */
	ref resizing; /* databases whose table is being moved */
	struct retired_counters retired;
	/* Fields may be added here, up to SHARD_ROOT_MOST: see arena_fit_root(). */
#ifdef ATOMDB_OTHER_RELEASE
	uint64_t of_another_release[3]; /* in a build for the tests */
#endif
};

/* The smallest root of a release with this format, and the size of the block that it lies in. */
#define SHARD_ROOT_LEAST 3040
#define SHARD_ROOT_MOST  3072
static_assert(offsetof(struct shard_root, seed) == 2912 && sizeof(struct shard_root) >= SHARD_ROOT_LEAST &&
		      sizeof(struct shard_root) <= SHARD_ROOT_MOST,
	      "the root is part of the arena's format");

struct compaction {
	uint64_t least; /* bytes lost in slabs: the least since it last ended */
	bool purge;     /* the slack goes back as well, when it ends */
	struct fragmentation fragmentation;
};

/* A change of an entry in place: see check.h. */
struct entry_change {
	size_t from, to; /* the bytes */
	uint8_t rest;    /* the check without those units */
	bool whole;      /* all is to be summed up again */
};

/* The fair share of memory: see fair_share.h. */
struct fair_share {
	/* Publishes the level for the tenants of all shards, if `wanted` bytes more are taken; NULL: there are no
	 * others. */
	void (*measure)(void *context, struct memory_budget *b, uint64_t wanted);
	void *context;
	struct tenant *furthest; /* whose entries go, or NULL */
	uint64_t level;          /* in force for this turn: bytes; UINT64_MAX: nobody has to give way */
	uint64_t made_up;        /* bytes that the running write has evicted for itself */
	uint64_t none_at;        /* the number of the level that none here was above */
	uint64_t taken;          /* bytes asked for since the level was worked out */
	uint64_t look_ns;        /* when to work it out again, if it changes nothing here */
	uint32_t pause_ms;       /* how long that was put off last */
};

struct shard {
	struct arena *arena; /* owned */
	struct table_context context;
	struct shard_root *root;
	int64_t now_ms;
	int64_t skew_ms;    /* of now_ms to monotonic time, without the part that follow_clock lets pass */
	int64_t stepped_ms; /* now_ms when the clock was set last: entries due then are late only since then */
	int64_t look_ms;    /* when the clock is compared with monotonic time again */
	uint32_t used_now;  /* entry_used_at(shard_used_ms()) */
	uint64_t now_ns;
	uint64_t draws;             /* of random keys */
	struct tenant **tenants;    /* owned array, by slot; NULL: free, or still being freed */
	uint32_t slots;             /* of that array and of the directory */
	unsigned undo_depth;        /* keyspace_begin without keyspace_commit */
	bool undo_noting;           /* changes are noted in the undo log */
	bool undo_dropped;          /* the open scope dropped a database, which may come back */
	bool transaction;           /* the open scope is that of several commands */
	struct tenant *undo_tenant; /* whose scope is open, once something is noted */
	uint64_t undo_bytes;        /* charged to it for what the scope keeps */
	uint64_t transaction_bytes; /* charged for the commands of the transaction that is open */
	int64_t held_ms; /* when the first tenant whose expired entries are held has them removed, by CLOCK_MONOTONIC */
	struct entry_change change;
	struct tenant_limits defaults;
	struct list over;  /* tenants above a lowered quota */
	struct list pins;  /* values that are being sent: see pin.h */
	bool keeps_pinned; /* pins_keep */
	bool resumes;      /* shard_resume */
	struct fair_share fair_share;
	unsigned id;
	unsigned worker;
	counter *progress; /* of recovery: shard_options */
	struct compaction compaction;
	struct shard_counters counters;
	struct shard_recovery recovery;
};

/* The time by which the use of entries is noted: nobody sets it. */
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

static inline bool entry_due(const struct shard *s, const struct entry *e) {
	return entry_has(e, ENTRY_TTL) && entry_deadline(e) <= s->now_ms;
}

/* The order in which each database is at the place of its number. */
#define RECORD_ORDER 0xfedcba9876543210u
/* Fills db_slots and numbers from the order. */
void record_read_order(struct tenant_record *record);

/* Writes an identity to a record that is not published yet. */
void record_set_identity(struct tenant_record *record, const struct tenant_identity *i);
/* Writes the identity of an open tenant to its record, for the next process. No scope is open. */
void record_write_identity(struct tenant *t);

/* Adds the counters that outlive a tenant to `r`, and the other way round. */
void record_add_counters(struct retired_counters *r, const struct tenant_counters *f);
void record_restore_counters(struct tenant_counters *f, const struct retired_counters *r);

/* Whether the tenant's entries stay although they are due. Nobody sees them. */
static inline bool tenant_holds_expired(const struct tenant *t) {
	return __builtin_expect(t->hold_end_ms != 0, 0) && t->hold_end_ms > (int64_t)(t->shard->now_ns / 1000000);
}
