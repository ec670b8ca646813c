/* Drops databases: unlinks them at once and frees them in slices.
 *
 * The entries of a dropped database stay in the arena, and name a database slot that may have another database by then.
 * Only the list of dropped databases, whose tables still name these entries, says that they are gone. Therefore one
 * store both drops a database and lists it, and it leaves the list when none of its entries is left. */
#include "store/keyspace/drop.h"

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/record.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"
#include "store/keyspace/work.h"

/* Removes a database from the list of resizes. */
static void resizing_remove(struct shard *s, ref block) {
	ref *link = &s->root->resizing;
	while (*link != block)
		link = &database_at(s, *link)->next_resizing;
	*link = database_at(s, block)->next_resizing;
}

/* Unlinks a database from its tenant and links it before `next`. Returns its block. */
static ref database_drop(struct tenant *t, unsigned db_slot, ref next) {
	struct shard *s = t->shard;
	struct database *d = tenant_database(t, db_slot);
	unsigned number = t->record->numbers[db_slot];
	uint64_t keys = table_count(&d->table);
	if (d->resizing)
		resizing_remove(s, t->record->databases[db_slot]);
	counter_sub(&t->counters.keys, keys);
	counter_sub(&t->shard->counters.keys, keys);
	counter_sub(&t->counters.keys_expiring, d->expiring);
	counter_set(&t->counters.db_keys[number], 0);
	counter_set(&t->counters.db_expiring[number], 0);
	t->dying += d->bytes;
	d->lru_number = t->record->lru_number;
	d->next_dropped = next;
	shard_directory(s)[t->slot].dropped++;
	ref block = t->record->databases[db_slot];
	t->record->databases[db_slot] = 0;
	return block;
}

/* Whether the database at a place is there, and is to go. */
static bool is_flushed(const struct tenant *t, unsigned db_slot, unsigned database) {
	return (database == t->record->numbers[db_slot] || database == TENANT_DATABASES) &&
	       t->record->databases[db_slot] != 0;
}

/* Drops the databases. Returns the first of them. */
static ref drop_all(struct tenant *t, unsigned database) {
	struct shard *s = t->shard;
	ref head = s->root->dropped, last = 0;
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		if (!is_flushed(t, i, database))
			continue;
		head = database_drop(t, i, head);
		last = last == 0 ? head : last;
	}
	crash_point();
	s->root->dropped = head;
	crash_point();
	return last;
}

int keyspace_flush(struct tenant *t, unsigned database) {
	struct shard *s = t->shard;
	bool some = false;
	for (unsigned i = 0; i < TENANT_DATABASES; i++)
		some = some || is_flushed(t, i, database);
	if (some && undo_active(s) && undo_note_dropped(t) != 0)
		return ATOMDB_E_OOM;
	if (t->watcher != NULL)
		t->watcher(t, CHANGE_FLUSH, database, SLICE(""));
	fiber_forbid();
	ref last = drop_all(t, database);
	if (undo_active(s) && s->scope.dropped_last == 0)
		s->scope.dropped_last = last;
	/* If the tenant has no entries, its list holds only entries of dropped databases. */
	if (counter_get(&t->counters.keys) == 0 && t->record->lru.newest != 0) {
		t->record->lru = (struct lru){0, 0};
		t->record->lru_number++;
	}
	fiber_allow();
	return 0;
}

struct drop {
	struct shard *shard;
	struct tenant *tenant; /* NULL: it is closed */
	struct database *database;
	struct lru *lru; /* the list that has the entries; NULL: it was abandoned */
};

/* Discharges freed bytes from the database and its tenant. */
static void discharge(const struct drop *drop, uint64_t bytes) {
	struct database *d = drop->database;
	bytes = bytes < d->bytes ? bytes : d->bytes;
	d->bytes -= bytes;
	if (drop->tenant == NULL)
		return;
	drop->tenant->dying -= bytes;
	counter_sub(&drop->tenant->counters.bytes, bytes);
}

static void drop_entry(void *context, ref block) {
	const struct drop *drop = context;
	struct shard *s = drop->shard;
	struct entry *e = entry_at(s, block);
	size_t size = entry_size(e);
	if (entry_has(e, ENTRY_TTL))
		wheel_remove(s->arena, &s->root->wheel, block);
	if (drop->lru != NULL)
		lru_remove(s->arena, drop->lru, block);
	uint32_t owner = e->owner;
	e->owner = 0;
	crash_point();
	discharge(drop, arena_block_size(size));
	value_type_free_entry(s, block, owner, size);
}

void drop_charge(struct tenant *t) {
	const struct shard *s = t->shard;
	uint32_t left = shard_directory(s)[t->slot].dropped;
	for (ref block = s->root->dropped; block != 0 && left != 0; block = database_at(s, block)->next_dropped) {
		const struct database *d = database_at(s, block);
		if (d->tenant != t->slot)
			continue;
		left--;
		t->dying += d->bytes;
		counter_add(&t->counters.bytes, d->bytes);
	}
}

bool drop_free(struct shard *s, unsigned units) {
	ref block;
	if (undo_keeps_dropped(s))
		return s->root->dropped != 0;
	while (units != 0 && (block = s->root->dropped) != 0) {
		struct database *d = database_at(s, block);
		struct tenant *t = s->tenants[d->tenant];
		work_for(s, t);
		bool hangs = t != NULL && t->record->lru_number == d->lru_number;
		struct drop drop = {s, t, d, hangs ? &t->record->lru : NULL};
		uint64_t before = table_count(&d->table);
		if (table_drain(&s->context, &d->table, &d->cursor, units, drop_entry, &drop))
			return true;
		units -= before < units ? (unsigned)before : units;
		units -= units != 0;
		discharge(&drop, d->bytes);
		shard_directory(s)[d->tenant].dropped--;
		s->root->dropped = d->next_dropped;
		crash_point();
		arena_free(s->arena, block, sizeof *d, ARENA_OTHER);
	}
	return s->root->dropped != 0;
}
