/* Whole-database operations: DBSIZE, SCAN, RANDOMKEY. */
#include "atomdb/store/walk.h"

#include "atomdb/store/keyspace.h"
#include "atomdb/util/error.h"
#include "store/keyspace/record.h"

#define RANDOM_TRIES 100

/* Whether the shard may have due entries of the tenant still. */
static bool is_sweeping(const struct tenant *t) {
	const struct shard *s = t->shard;
	return wheel_due(&s->root->wheel, shard_sweep_ms(s)) || !wheel_parks_none(s->arena, record_parked(s, t));
}

int keyspace_size(struct tenant *t, unsigned database, uint64_t *keys, uint64_t *expiring) {
	const struct database *d = tenant_database(t, keyspace_db_slot(t, database));
	if (d != NULL && d->expiring != 0 && is_sweeping(t))
		return ATOMDB_E_AGAIN;
	if (keys != NULL)
		*keys = d == NULL ? 0 : table_count(&d->table);
	if (expiring != NULL)
		*expiring = d == NULL ? 0 : d->expiring;
	return 0;
}

/* Passes the entries that are not due on to `visit`. */
struct scan {
	struct shard *shard;
	void (*visit)(void *context, const struct entry *e);
	void *context;
};

static void scan_visit(void *context, ref block) {
	const struct scan *scan = context;
	const struct entry *e = entry_at(scan->shard, block);
	if (!entry_due(scan->shard, e))
		scan->visit(scan->context, e);
}

uint64_t keyspace_scan(struct tenant *t, unsigned database, uint64_t cursor,
		       void (*visit)(void *context, const struct entry *e), void *context) {
	const struct database *d = tenant_database(t, keyspace_db_slot(t, database));
	struct scan scan = {t->shard, visit, context};
	return d == NULL ? 0 : table_scan(&t->shard->context, &d->table, cursor, scan_visit, &scan);
}

int keyspace_random(struct tenant *t, unsigned database, struct entry **e) {
	struct shard *s = t->shard;
	uint64_t ignored;
	int error = keyspace_size(t, database, &ignored, NULL);
	const struct database *d = tenant_database(t, keyspace_db_slot(t, database));
	if (error != 0)
		return error;
	if (d == NULL || table_count(&d->table) == 0)
		return 0;
	/* If the tenant holds its expired entries, all entries may be due. */
	for (unsigned tries = 0; tries < RANDOM_TRIES; tries++) {
		/* SipHash of a counter is even enough. */
		uint64_t random = hash_bytes(&s->context.seed, &s->draws, sizeof s->draws);
		s->draws++;
		*e = entry_at(s, table_random(&s->context, &d->table, random));
		if (!entry_due(s, *e))
			return 1;
	}
	return 0;
}
