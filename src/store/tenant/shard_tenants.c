#include "atomdb/store/shard_tenants.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "store/arena/crash_point.h"
#include "store/keyspace/drop.h"
#include "store/keyspace/fair_share.h"
#include "store/keyspace/record.h"

void shard_set_defaults(struct shard *s, const struct tenant_limits *limits) {
	s->defaults = *limits;
	for (uint32_t i = 0; i < s->slots; i++) {
		struct tenant *t = s->tenants[i];
		if (t != NULL && !tenant_listed(t))
			tenant_set_defaults(t, limits, s->now_ns);
	}
}

/* Makes a larger directory, and publishes it by one store. */
static int grow_directory(struct shard *s) {
	uint32_t grown = s->slots == 0 ? 16 : s->slots * 2;
	if (grown > ENTRY_TENANT_MAX)
		return ATOMDB_E_FULL;
	struct tenant **tenants = realloc(s->tenants, grown * sizeof *tenants);
	if (tenants == NULL)
		return -ENOMEM;
	s->tenants = tenants;
	memset(tenants + s->slots, 0, (grown - s->slots) * sizeof *tenants);
	ref block = fair_share_alloc_zero(s, grown * sizeof(struct tenant_slot));
	if (block == 0)
		return ATOMDB_E_OOM;
	ref old = (ref)s->root->directory;
	if (old != 0)
		memcpy(arena_at(s->arena, block), shard_directory(s), s->slots * sizeof(struct tenant_slot));
	crash_point();
	s->root->directory = block | (uint64_t)grown << 32;
	crash_point();
	if (old != 0)
		arena_free(s->arena, old, s->slots * sizeof(struct tenant_slot), ARENA_OTHER);
	s->slots = grown;
	return 0;
}

/* Finds a slot that no tenant and no entry uses. Slot 0 is never used, because the owner of an entry must not be 0. */
static int slot_find(struct shard *s, uint32_t *slot) {
	for (uint32_t i = 1; i < s->slots; i++) {
		const struct tenant_slot *d = &shard_directory(s)[i];
		if (d->record == 0 && d->dropped == 0) {
			*slot = i;
			return 0;
		}
	}
	uint32_t before = s->slots;
	int error = grow_directory(s);
	if (error == 0)
		*slot = before == 0 ? 1 : before;
	return error;
}

static void place_tenant(struct shard *s, uint32_t slot, struct tenant *t) {
	t->slot = slot;
	s->tenants[slot] = t;
	counter_add(&t->counters.bytes, arena_block_size(sizeof *t->record));
	counter_add(&s->counters.tenants, 1);
}

int shard_open_tenant(struct shard *s, struct tenant *t) {
	if (t->record != NULL)
		return 0;
	uint32_t slot;
	if (slot_find(s, &slot) != 0)
		return ATOMDB_E_OOM;
	ref block = fair_share_alloc_zero(s, sizeof *t->record);
	if (block == 0)
		return ATOMDB_E_OOM;
	t->record = arena_at(s->arena, block);
	t->record->order = RECORD_ORDER;
	record_read_order(t->record);
	record_set_identity(t->record, tenant_identity(t));
	crash_point();
	shard_directory(s)[slot].record = block;
	crash_point();
	place_tenant(s, slot, t);
	bool has_defaults = !tenant_listed(t) && !t->limits.of_orphan;
	tenant_set_limits(t, has_defaults ? &s->defaults : &t->limits, s->now_ns);
	return 0;
}

void shard_each_tenant(struct shard *s,
		       void (*visit)(void *context, uint32_t slot, const struct tenant_identity *identity),
		       void *context) {
	for (uint32_t i = 1; i < s->slots; i++) {
		ref record = shard_directory(s)[i].record;
		if (record != 0 && s->tenants[i] == NULL)
			visit(context, i, &((const struct tenant_record *)arena_at(s->arena, record))->identity);
	}
}

void shard_adopt_tenant(struct shard *s, uint32_t slot, struct tenant *t) {
	t->record = arena_at(s->arena, shard_directory(s)[slot].record);
	for (unsigned db_slot = 0; db_slot < TENANT_DATABASES; db_slot++) {
		const struct database *d = tenant_database(t, db_slot);
		unsigned number = t->record->numbers[db_slot];
		if (d == NULL)
			continue;
		uint64_t keys = table_count(&d->table);
		counter_add(&t->counters.bytes, d->bytes);
		counter_add(&t->counters.keys, keys);
		counter_add(&t->counters.keys_expiring, d->expiring);
		counter_set(&t->counters.db_keys[number], keys);
		counter_set(&t->counters.db_expiring[number], d->expiring);
		counter_add(&s->counters.keys, keys);
	}
	record_restore_counters(&t->counters, &t->record->kept);
	place_tenant(s, slot, t);
	drop_charge(t);
}

void shard_close_tenant(struct shard *s, struct tenant *t) {
	assert(!tenant_suspended(t));
	record_add_counters(&s->counters.retired, &t->counters);
	list_remove(&t->over);
	list_remove(&t->suspension.link);
	if (s->fair_share.furthest == t)
		s->fair_share.furthest = NULL;
	tenant_deinit(t);
	if (t->record == NULL) {
		assert(counter_get(&t->counters.bytes) == 0);
		return;
	}
	record_unpark(t);
	struct tenant_slot *slot = &shard_directory(s)[t->slot];
	ref block = slot->record;
	slot->record = 0;
	crash_point();
	(void)keyspace_flush(t, TENANT_DATABASES);
	counter_sub(&t->counters.bytes, t->dying);
	t->dying = 0;
	arena_free(s->arena, block, sizeof *t->record, ARENA_OTHER);
	counter_sub(&t->counters.bytes, arena_block_size(sizeof *t->record));
	assert(counter_get(&t->counters.bytes) == 0 && counter_get(&t->counters.keys) == 0);
	t->record = NULL;
	s->tenants[t->slot] = NULL;
	counter_sub(&s->counters.tenants, 1);
}
