#include "atomdb/session/hotkeys.h"

#include <stdlib.h>
#include <strings.h>

#include "atomdb/session/keys.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/stats_memory.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

/* Most keys of one command that a sample counts. */
#define KEYS_LOOKED_AT 16
/* Samples after which all weights are halved: 2 million commands. */
#define FADE_SAMPLES 8192
/* The distance between samples is random between half and one and a half times the mean, so that no pattern in a
 * client's commands stays in step with it. It exceeds a window, so that a window has at most one sample. */
#define GAP_LEAST (HOTKEYS_EVERY / 2)

/* --- state ------------------------------------------------------------------------------------------------------ */

/* Adjusts the charge to the allocated bytes. */
static void settle(struct tenant *t, struct hotkeys *h) {
	size_t held = h->hot.bytes + h->big.bytes;
	if (held > h->charged)
		tenant_charge_anyway(t, held - h->charged);
	else
		tenant_discharge(t, h->charged - held);
	h->charged = held;
	t->large = top_keys_least(&h->big);
}

struct hotkeys *hotkeys_open(struct tenant *t, bool ask) {
	if (t->clients.hotkeys == NULL)
		t->clients.hotkeys = stats_memory_alloc(t, sizeof(*t->clients.hotkeys), ask);
	return t->clients.hotkeys;
}

void hotkeys_free(struct tenant *t) {
	struct hotkeys *h = t->clients.hotkeys;
	if (h == NULL)
		return;
	top_keys_clear(&h->hot);
	top_keys_clear(&h->big);
	settle(t, h);
	stats_memory_free(t, h, sizeof(*h));
	t->clients.hotkeys = NULL;
}

void hotkeys_reset(struct tenant *t) {
	struct hotkeys *h = t->clients.hotkeys;
	if (h == NULL)
		return;
	top_keys_clear(&h->hot);
	h->samples = 0;
	settle(t, h);
}

/* Returns the average value of Redis's counter after that many uses, with its default lfu-log-factor of 10. A new key
 * has 5, and from c on the next step needs 10 (c - 5) + 1 uses ("LFU eviction" in Redis's documentation of key
 * eviction). */
unsigned hotkeys_frequency(const struct tenant *t, const struct key *key) {
	const struct hotkeys *h = t->clients.hotkeys;
	uint64_t uses = h == NULL ? 0 : top_keys_weight(&h->hot, key) * HOTKEYS_EVERY, needed = 1;
	if (uses == 0)
		return 0;
	unsigned frequency = 5;
	for (; frequency < 255 && uses >= needed; frequency++) {
		uses -= needed;
		needed += 10;
	}
	return frequency;
}

static void note_written(struct tenant *t, const struct key *key, size_t bytes) {
	/* A write is in progress: the memory that was freed for it must not be used. */
	struct hotkeys *h = hotkeys_open(t, false);
	if (h == NULL)
		return;
	top_keys_set(&h->big, key, bytes);
	settle(t, h);
}

void hotkeys_attach(struct session *s) {
	s->tenant->written_large = note_written;
}

/* --- sampling ---------------------------------------------------------------------------------------------------- */

/* Checks the size of number `i` of the big keys. Returns false if the key does not exist, and removes it. */
static bool look_up(struct tenant *t, struct hotkeys *h, unsigned i) {
	struct key key = top_keys_at(&h->big, i);
	const struct entry *e = keyspace_find(t, &key, LOOKUP_PEEK);
	if (e == NULL)
		top_keys_remove(&h->big, i);
	else
		h->big.keys[i].weight = keyspace_memory(t, e);
	return e != NULL;
}

static void look_at(struct session *s, struct hotkeys *h, const struct request *r) {
	struct command_keys keys = command_keys_begin(r->command, r->argv, r->argc);
	uint32_t at;
	for (unsigned n = 0; n < KEYS_LOOKED_AT && command_keys_next(&keys, &at); n++) {
		struct key key = request_key(s, r, at);
		const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		top_keys_count(&h->hot, &key, 1);
		if (e != NULL && keyspace_memory(s->tenant, e) > s->tenant->large)
			top_keys_set(&h->big, &key, keyspace_memory(s->tenant, e));
	}
}

/* Channels are not keys. A query about a key, as redis-cli sends for all keys on its walks, is not a use of it. */
static bool uses_its_keys(const struct command *c) {
	return (c->key_flags & KEY_NOT_KEY) == 0 && (c->key_flags & (KEY_RO | KEY_ACCESS)) != KEY_RO;
}

void hotkeys_sample(struct session *s, const struct request *requests, unsigned count) {
	struct environment *env = s->env;
	int at = (int)count - 1 + env->sample_in;
	const struct request *r = &requests[at < 0 ? 0 : at];
	/* xorshift64 (Marsaglia, 2003): any start except zero. */
	uint64_t x = env->sample_random == 0 ? clock_ticks() | 1 : env->sample_random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	env->sample_random = x;
	env->sample_in += GAP_LEAST + (int)(x % (HOTKEYS_EVERY + 1));
	if (r->hashed == 0 || r->hashed != s->attachments || !command_arity_ok(r->command, r->argc) ||
	    !uses_its_keys(r->command))
		return;
	struct hotkeys *h = hotkeys_open(s->tenant, true);
	if (h == NULL)
		return;
	look_at(s, h, r);
	if (++h->samples >= FADE_SAMPLES) {
		top_keys_fade(&h->hot);
		h->samples = 0;
	}
	if (h->big.count > 0)
		look_up(s->tenant, h, h->next++ % h->big.count);
	settle(s->tenant, h);
}

void hotkeys_weigh_big(struct tenant *t) {
	struct hotkeys *h = t->clients.hotkeys;
	for (unsigned i = h == NULL ? 0 : h->big.count; i-- > 0;)
		look_up(t, h, i);
	if (h != NULL)
		settle(t, h);
}
