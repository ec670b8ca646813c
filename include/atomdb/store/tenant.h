/* A tenant: what a secret opens. The unit of isolation, quota, ownership and counters.
 *
 * A tenant lives in one shard and is touched by that shard's worker alone, except for its identity (constant), its
 * counters and its limits (posted to the worker as a copy). Made by the registry, opened and closed by its
 * shard. */
#pragma once

#include "atomdb/store/tenant_state.h"

/* Initializes a tenant of the shard that no worker knows yet. */
void tenant_init(struct tenant *t, struct shard *s, const struct tenant_limits *limits);
/* Frees and discharges the statistics. The tenant must have no sessions, and no charge for clients. */
void tenant_deinit(struct tenant *t);

/* Counts what a client's socket gave, or took. */
static inline void tenant_count_input(struct tenant *t, uint64_t bytes) {
	counter_add(&t->counters.input_bytes, bytes);
	counter_add(&t->counters.reads, 1);
}

static inline void tenant_count_output(struct tenant *t, uint64_t bytes) {
	struct tenant_counters *f = &t->counters;
	counter_add(&f->output_bytes, bytes);
	counter_add(&f->writes, 1);
	if (__builtin_expect(counter_get(&f->bytes) > counter_get(&f->peak_bytes), 0))
		counter_set(&f->peak_bytes, counter_get(&f->bytes));
}

/* The next id for a client of an open tenant: 1, 2, … over restarts too, as long as the tenant lives. */
uint64_t tenant_new_client_id(struct tenant *t);
/* A client that was just given `fresh` goes on with `id`, which the process before gave it. */
void tenant_keep_client_id(struct tenant *t, uint64_t fresh, uint64_t id);

/* Bytes that all clients of the tenant together may make it hold; UINT64_MAX: no limit. Without client_memory it is a
 * quarter of max_memory, the tenant's or the server's, whichever is less; 64 KiB at least. */
uint64_t tenant_client_limit(const struct tenant *t);

/* Charges `bytes` of memory outside the store (a connection's buffers) before they are taken: evicts where the quota
 * needs it. 0, or ATOMDB_E_OOM and nothing is charged. */
int tenant_charge(struct tenant *t, uint64_t bytes);
/* The same, but never from the reserve beyond the quota: for what no client needs to free memory. */
int tenant_charge_in_quota(struct tenant *t, uint64_t bytes);
/* The same without asking: for the little that a full tenant's client needs to say what is to go. */
void tenant_charge_anyway(struct tenant *t, uint64_t bytes);
/* Without evicting now: the shard evicts what is above the quota in its next slices of work. 0, or ATOMDB_E_OOM where
 * all tenants together have no room. */
int tenant_charge_later(struct tenant *t, uint64_t bytes);
void tenant_discharge(struct tenant *t, uint64_t bytes);
/* Bytes that a command may take for as long as it runs: half of the quota, and no more than the server's max_memory has
 * left; but always 1 MiB. Nothing is evicted for them. */
uint64_t tenant_scratch_limit(const struct tenant *t);

/* Bytes charged for a database: `*all` of it, and of these `*table` for its table. For the tenant's own worker. */
void tenant_database_bytes(const struct tenant *t, unsigned database, uint64_t *all, uint64_t *table);

/* Puts new limits in force. shard_work() evicts the entries above them in slices. The limits of a suspended tenant wait
 * until it is resumed. */
void tenant_set_limits(struct tenant *t, const struct tenant_limits *limits, uint64_t now_ns);
/* Puts new defaults in force for a tenant that clients opened, except for the former limits that it keeps. An orphan's
 * limits do not change. */
void tenant_set_defaults(struct tenant *t, const struct tenant_limits *defaults, uint64_t now_ns);
