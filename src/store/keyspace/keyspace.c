#include "store/keyspace/keyspace.h"

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/change.h"
#include "store/keyspace/check.h"
#include "store/keyspace/draft.h"
#include "store/keyspace/remove.h"
#include "store/keyspace/undo.h"
#include "store/keyspace/value_type.h"

struct key keyspace_key(const struct tenant *t, unsigned db_slot, struct slice name) {
	return (struct key){name, hash_bytes(&t->shard->context.seed, name.data, name.len), db_slot};
}

struct key keyspace_long_key(const struct tenant *t, unsigned db_slot, struct slice name) {
	if (name.len <= LONG_NAME)
		return keyspace_key(t, db_slot, name);
	return (struct key){name, hash_bytes_in_slices(&t->shard->context.seed, name.data, name.len), db_slot};
}

unsigned keyspace_db_slot(const struct tenant *t, unsigned database) {
	return t->record->db_slots[database];
}

unsigned keyspace_database(const struct tenant *t, unsigned db_slot) {
	return t->record->numbers[db_slot];
}

const void *keyspace_fetch_bucket(const struct tenant *t, const struct key *key) {
	const struct database *d = tenant_database(t, key->db_slot);
	return d == NULL ? NULL : table_fetch_bucket(&t->shard->context, &d->table, key->hash);
}

const struct entry *keyspace_fetch_entry(const struct tenant *t, const struct key *key, const void *bucket) {
	return (const struct entry *)(const void *)table_fetch_entry(&t->shard->context, bucket, key->hash);
}

void keyspace_fetch_links(const struct tenant *t, const struct entry *e) {
	table_fetch_links(&t->shard->context, entry_block(e));
}

uint32_t keyspace_generation(const struct tenant *t) {
	return arena_generation(t->shard->context.arena);
}

__attribute__((noinline)) struct entry *keyspace_find_nothing(struct tenant *t, const struct key *key, enum lookup how,
							      ref due) {
	if (due != 0 && (how == LOOKUP_WRITE || !tenant_holds_expired(t))) {
		counter_add(&t->counters.expirations, 1);
		remove_entry(t, tenant_database(t, key->db_slot), key->hash, due, CHANGE_EXPIRED);
	}
	if (how & LOOKUP_COUNT) {
		counter_add(&t->counters.misses, 1);
		change_tell(t, CHANGE_MISSED, key->db_slot, key->name);
	}
	return NULL;
}

struct entry *keyspace_find(struct tenant *t, const struct key *key, enum lookup how) {
	return keyspace_find_inline(t, key, how);
}

struct slice keyspace_name(const struct entry *e) {
	return entry_key(e);
}

int64_t keyspace_deadline(const struct entry *e) {
	return entry_deadline(e);
}

size_t keyspace_memory(const struct tenant *t, const struct entry *e) {
	const struct value_type *type = value_type_of(t, e);
	return entry_block_size(e) + (type->memory == NULL ? 0 : type->memory(t, e));
}

int64_t keyspace_idle(const struct tenant *t, const struct entry *e) {
	uint32_t now = t->shard->used_now >> ENTRY_USED_SHIFT, used = e->sizes >> ENTRY_USED_SHIFT;
	uint32_t ticks = (now - used) & ENTRY_USED_MAX;
	/* The last use is anywhere in the first of these ticks, and the present time anywhere in the last. */
	return ticks <= 1 ? 0 : ((int64_t)(ticks - 1) << ENTRY_TICK_SHIFT) / 1000;
}

void keyspace_set_idle(struct tenant *t, struct entry *e, int64_t seconds) {
	const int64_t most = ((int64_t)ENTRY_USED_MAX << ENTRY_TICK_SHIFT) / 1000;
	int64_t ms = (seconds < most ? seconds : most) * 1000;
	entry_set_used(e, entry_used_at(shard_used_ms(t->shard) - ms));
}

int keyspace_expire(struct tenant *t, const struct key *key, struct entry *e, int64_t deadline) {
	struct shard *s = t->shard;
	int64_t max = t->limits.max_ttl;
	if (max != 0 && (deadline == DEADLINE_NONE || deadline - s->now_ms > max))
		deadline = s->now_ms + max;
	if (deadline != DEADLINE_NONE && deadline <= s->now_ms)
		return keyspace_delete(t, key, e);
	if (entry_has(e, ENTRY_TTL) == (deadline != DEADLINE_NONE)) {
		ref block = entry_ref(s, e);
		if (deadline != entry_deadline(e) && !undo_is_free(s, e) &&
		    undo_note_bytes(s, e, sizeof *e, sizeof deadline) != 0)
			return ATOMDB_E_OOM;
		change_tell(t, CHANGE_VALUE, key->db_slot, key->name);
		if (deadline == entry_deadline(e))
			return 0;
		fiber_forbid();
		wheel_remove(s->arena, &s->root->wheel, block);
		check_begin(s, e, 0, 0);
		entry_ttl(e)->deadline = deadline; /* one store */
		crash_point();
		check_end(s);
		wheel_add(s->arena, &s->root->wheel, block);
		fiber_allow();
		return 0;
	}
	struct database *d = tenant_database(t, key->db_slot);
	struct slice stored = entry_stored(e);
	struct draft draft;
	int error = draft_make(t, d, key, e, stored.len, entry_flags(e) & ENTRY_FORM, deadline, 0, &draft);
	if (error != 0)
		return error;
	draft_fill(&draft, stored.data, stored.len);
	s->moved = entry_ref(s, e);
	draft_publish(t, d, key, e, &draft);
	s->moved = 0;
	return 0;
}

int keyspace_delete(struct tenant *t, const struct key *key, struct entry *e) {
	if (undo_make_room(t, UNDO_REMOVE) != 0)
		return ATOMDB_E_OOM;
	remove_entry(t, tenant_database(t, key->db_slot), key->hash, entry_ref(t->shard, e), CHANGE_REMOVED);
	return 0;
}
