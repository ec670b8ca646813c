#include "atomdb/session/client_memory.h"

#include <assert.h>
#include <stdlib.h>

#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "atomdb/util/heap.h"

/* Ranks clients for closing by the bytes that they hold; NO-EVICT clients come last. */
struct weight {
	bool evictable;
	uint64_t bytes;
};

static struct weight weigh(const struct session *s) {
	const struct session_host *host = s->env->host;
	uint64_t bytes = s->event_bytes;
	if (host != NULL && host->held != NULL)
		bytes += host->held(s);
	return (struct weight){(s->flags & SESSION_NO_EVICT) == 0, bytes};
}

static bool is_more(struct weight a, struct weight b) {
	return a.evictable != b.evictable ? a.evictable : a.bytes > b.bytes;
}

/* Returns the client that holds most, and more than `least`, or NULL. Skips a client that runs a command. */
static struct session *greediest(const struct tenant *t, const struct session *asker, struct weight least) {
	const uint32_t spared = SESSION_CLOSING | SESSION_EVICTED | SESSION_SUSPENDED;
	struct session *found = NULL;
	list_for_each (node, &t->clients.sessions) {
		struct session *s = list_entry(node, struct session, tenant_link);
		if (s == asker || s == s->env->running || (s->flags & spared))
			continue;
		struct weight weight = weigh(s);
		if (weight.bytes > 0 && is_more(weight, least)) {
			found = s;
			least = weight;
		}
	}
	return found;
}

void client_memory_leave(struct session *s) {
	if (s->flags & SESSION_EVICTED)
		return;
	s->flags |= SESSION_EVICTED;
	s->leaving_bytes = s->event_bytes;
	s->tenant->clients.leaving_bytes += s->leaving_bytes;
}

/* Frees the client's buffers at once, and the rest of its memory at the end of the turn. */
void client_memory_evict(struct tenant *t, struct session *s) {
	if (s->env->host == NULL || s->env->host->evict == NULL || (s->flags & SESSION_EVICTED))
		return;
	counter_add(&t->counters.clients_evicted, 1);
	client_memory_leave(s);
	s->env->host->evict(s, weigh(s).bytes);
}

/* Returns whether `bytes` more are within the limit after the clients that are being closed are gone. */
static bool fits(const struct tenant *t, uint64_t bytes) {
	uint64_t limit = tenant_client_limit(t),
		 held = counter_get(&t->counters.client_bytes) - t->clients.leaving_bytes;
	return held <= limit && bytes <= limit - held;
}

/* Returns whether the quota has room for a command above the limit of clients: it is held briefly, and evicts no key.
 */
static bool has_free_room(const struct tenant *t, uint64_t bytes) {
	uint64_t most = t->limits.max_memory, used = counter_get(&t->counters.bytes);
	return t->limits.client_memory == 0 && most != 0 && used <= most && bytes <= most - used;
}

bool client_memory_refuses(const struct tenant *t, uint64_t bytes, uint64_t charged) {
	return bytes > tenant_client_limit(t) && bytes > charged && !has_free_room(t, bytes - charged);
}

/* Charges the quota. */
static int charge_quota(struct tenant *t, uint64_t bytes, enum charge_mode mode) {
	int error = mode == CHARGE_LATER ? tenant_charge_later(t, bytes) : tenant_charge(t, bytes);
	if (error < 0 && mode == CHARGE_LITTLE) {
		tenant_charge_anyway(t, bytes);
		error = 0;
	}
	if (error == 0)
		counter_add(&t->counters.client_bytes, bytes);
	return error;
}

static int charge(struct tenant *t, struct session *asker, uint64_t bytes, enum charge_mode mode) {
	/* The process before had charged these bytes already. */
	if (__builtin_expect(shard_restores_clients(t->shard), 0))
		return charge_quota(t, bytes, CHARGE_NOW);
	if (mode == CHARGE_INPUT && has_free_room(t, bytes))
		return charge_quota(t, bytes, mode);
	if (mode != CHARGE_LITTLE && bytes > tenant_client_limit(t))
		return ATOMDB_E_OOM;
	/* A message has no weight of its own: any client that holds memory is closed before the message is lost. */
	struct weight own = {false, 0};
	if (asker != NULL) {
		own = weigh(asker);
		own.bytes += bytes;
	}
	while (__builtin_expect(!fits(t, bytes), 0)) {
		struct session *s = greediest(t, asker, own);
		if (s != NULL && s->env->host->evict != NULL)
			client_memory_evict(t, s);
		else if (mode == CHARGE_LITTLE)
			break;
		else
			return ATOMDB_E_OOM;
	}
	return charge_quota(t, bytes, mode);
}

int client_charge_grow(struct client_charge *c, struct session *asker, uint64_t bytes, enum charge_mode mode) {
	int error = charge(c->tenant, asker, bytes, mode);
	if (error == 0)
		c->bytes += bytes;
	return error;
}

void client_charge_shrink(struct client_charge *c, uint64_t bytes) {
	assert(bytes <= c->bytes);
	c->bytes -= bytes;
	counter_sub(&c->tenant->counters.client_bytes, bytes);
	tenant_discharge(c->tenant, bytes);
}

void client_charge_release(struct client_charge *c) {
	if (c->bytes != 0)
		client_charge_shrink(c, c->bytes);
}

void client_memory_count(struct session *s, int64_t bytes) {
	s->event_bytes += (uint64_t)bytes;
	if (s->flags & SESSION_EVICTED) {
		s->leaving_bytes += (uint64_t)bytes;
		s->tenant->clients.leaving_bytes += (uint64_t)bytes;
	}
}

void *client_memory_alloc(struct session *s, size_t bytes) {
	struct client_charge c = {.tenant = s->tenant};
	if (client_charge_grow(&c, s, bytes, CHARGE_NOW) < 0)
		return NULL;
	void *memory = heap_zeros(bytes);
	if (memory == NULL) {
		client_charge_release(&c);
		return NULL;
	}
	client_memory_count(s, (int64_t)bytes);
	return memory;
}

void client_memory_free(struct session *s, void *memory, size_t bytes) {
	struct client_charge c = {s->tenant, bytes};
	if (memory == NULL)
		return;
	heap_free(memory, bytes);
	client_memory_count(s, -(int64_t)bytes);
	client_charge_release(&c);
}
