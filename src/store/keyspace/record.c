#include "store/keyspace/record.h"

#include <string.h>

#include "atomdb/util/crc64.h"
#include "store/arena/crash_point.h"

void record_read_order(struct tenant_record *record) {
	for (unsigned i = 0; i < TENANT_DATABASES; i++) {
		record->db_slots[i] = record->order >> 4 * i & 15;
		record->numbers[record->db_slots[i]] = (uint8_t)i;
	}
}

struct tenant_record *record_with_undo(const struct shard *s, uint32_t slot) {
	ref block = shard_directory(s)[slot].record;
	size_t size;
	if (!arena_find_block(s->arena, block, ARENA_OTHER, &size) || size < sizeof(struct tenant_record))
		return NULL;
	return arena_at(s->arena, block);
}

void record_unpark(struct tenant *t) {
	struct shard *s = t->shard;
	if (!wheel_parks_none(s->arena, record_parked(s, t)))
		s->held_ms = 0;
	wheel_hold_parked(s->arena, &s->root->wheel, record_parked(s, t));
}

static uint64_t name_sum(const struct tenant_identity *i) {
	return i->name[0] == '\0' ? 0 : crc64(0, (struct slice){i->name, sizeof i->name});
}

void record_set_identity(struct tenant_record *record, const struct tenant_identity *i) {
	record->identity = *i;
	record->digest_sum = crc64(0, (struct slice){(const char *)i->digest, sizeof i->digest});
	record->name_sum = name_sum(i);
}

/* Writes the identity to a copy of the record, which one store publishes, so a crash leaves either record. Without
 * memory for the copy, the old record stays. */
void record_write_identity(struct tenant *t) {
	const struct tenant_identity *now = tenant_identity(t);
	struct shard *s = t->shard;
	if (memcmp(&t->record->identity, now, sizeof *now) == 0 && t->record->name_sum == name_sum(now))
		return;
	ref block = arena_alloc_zero(s->arena, sizeof *t->record, ARENA_OTHER);
	if (block == 0)
		return;
	ref old = shard_directory(s)[t->slot].record;
	struct tenant_record *record = arena_at(s->arena, block);
	record_unpark(t);
	*record = *t->record;
	record_set_identity(record, now);
	crash_point();
	shard_directory(s)[t->slot].record = block;
	crash_point();
	t->record = record;
	arena_free(s->arena, old, sizeof *record, ARENA_OTHER);
}

void record_add_counters(struct retired_counters *r, const struct tenant_counters *f) {
	counter_add(&r->commands, counter_get(&f->commands));
	counter_add(&r->hits, counter_get(&f->hits));
	counter_add(&r->misses, counter_get(&f->misses));
	counter_add(&r->evictions, counter_get(&f->evictions));
	counter_add(&r->expirations, counter_get(&f->expirations));
	counter_add(&r->throttled, counter_get(&f->throttled));
	counter_add(&r->input_bytes, counter_get(&f->input_bytes));
	counter_add(&r->output_bytes, counter_get(&f->output_bytes));
}

void record_restore_counters(struct tenant_counters *f, const struct retired_counters *r) {
	counter_add(&f->commands, counter_get(&r->commands));
	counter_add(&f->hits, counter_get(&r->hits));
	counter_add(&f->misses, counter_get(&r->misses));
	counter_add(&f->evictions, counter_get(&r->evictions));
	counter_add(&f->expirations, counter_get(&r->expirations));
	counter_add(&f->throttled, counter_get(&r->throttled));
	counter_add(&f->input_bytes, counter_get(&r->input_bytes));
	counter_add(&f->output_bytes, counter_get(&r->output_bytes));
}
