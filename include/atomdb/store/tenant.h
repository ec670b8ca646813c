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

/* Counts bytes that were read from a client's socket. */
static inline void tenant_count_input(struct tenant *t, uint64_t bytes) {
	counter_add(&t->counters.input_bytes, bytes);
	counter_add(&t->counters.reads, 1);
}

/* Counts bytes that were written to a client's socket. */
static inline void tenant_count_output(struct tenant *t, uint64_t bytes) {
	struct tenant_counters *f = &t->counters;
	counter_add(&f->output_bytes, bytes);
	counter_add(&f->writes, 1);
	if (__builtin_expect(counter_get(&f->bytes) > counter_get(&f->peak_bytes), 0))
		counter_set(&f->peak_bytes, counter_get(&f->bytes));
}

/* Returns the next ID for a client of an open tenant: 1, 2, and so on. Restarts continue the sequence. */
uint64_t tenant_new_client_id(struct tenant *t);
/* Gives a client that was just given `fresh` the ID that the previous process gave it. */
void tenant_keep_client_id(struct tenant *t, uint64_t fresh, uint64_t id);

/* Returns the most bytes that all clients of the tenant together may hold, or UINT64_MAX for no limit. Without
 * client_memory, this is a quarter of the lower max_memory, of the tenant or of the server, and at least 64 KiB. */
uint64_t tenant_client_limit(const struct tenant *t);

/* Charges `bytes` of memory outside the store (a connection's buffers) before they are allocated. Evicts entries if the
 * quota requires it. Returns 0, or ATOMDB_E_OOM and nothing is charged. */
int tenant_charge(struct tenant *t, uint64_t bytes);
/* Charges like tenant_charge(), but never from the reserve beyond the quota. For memory that does not help a client
 * free memory. */
int tenant_charge_in_quota(struct tenant *t, uint64_t bytes);
/* Charges `bytes` without a check. For the small amounts that a client of a full tenant needs to delete keys. */
void tenant_charge_anyway(struct tenant *t, uint64_t bytes);
/* Charges `bytes` and evicts nothing now: the shard evicts entries above the quota in its next slices of work. Returns
 * 0, or ATOMDB_E_OOM if the shared budget has no room. */
int tenant_charge_later(struct tenant *t, uint64_t bytes);
void tenant_discharge(struct tenant *t, uint64_t bytes);
/* Returns the most bytes that a command may take while it runs: half of the quota, at most the rest of the server's
 * max_memory, and at least 1 MiB. Nothing is evicted for them. */
uint64_t tenant_scratch_limit(const struct tenant *t);

/* Sets the bytes charged for a database: `*all` of them, and `*table` of these for its table. Only the tenant's worker
 * may call it. */
void tenant_database_bytes(const struct tenant *t, unsigned database, uint64_t *all, uint64_t *table);

/* Puts new limits in force. shard_work() evicts the entries above them in slices. The limits of a suspended tenant wait
 * until it is resumed. */
void tenant_set_limits(struct tenant *t, const struct tenant_limits *limits, uint64_t now_ns);
/* Puts new defaults in force for a tenant that clients opened, except for the former limits that it keeps. An orphan's
 * limits do not change. */
void tenant_set_defaults(struct tenant *t, const struct tenant_limits *defaults, uint64_t now_ns);
