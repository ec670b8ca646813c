#include "atomdb/session/hotkeys.h"

#include <stdlib.h>
#include <strings.h>

#include "atomdb/session/keys.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/stats_memory.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"

/* Keys of one command that are looked at. */
#define KEYS_LOOKED_AT 16
/* Samples after which what was counted before weighs half: 2 million commands. */
#define FADE_SAMPLES 8192
/* The distance between samples lies between half of the mean and one and a half: a pattern in what a client sends does
 * not keep step with it. More than a window, so that there is at most one in each. */
#define GAP_LEAST (HOTKEYS_EVERY / 2)

/* --- what is kept ------------------------------------------------------------------------------------------------ */

/* Brings the charge in line with what is held. */
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
	tenant_discharge(t, h->charged);
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

/* What Redis's counter is after so many uses, on average, with its default lfu-log-factor of 10: a new key has 5, and
 * from c on the next one needs 10 (c - 5) + 1 of them ("LFU eviction" in Redis's documentation of key eviction). */
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
	/* An entry is about to be written: the room that was made for it is not to be asked for. */
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

/* Looks up what number `i` of the big keys takes now; false where it is gone, and left out. */
static bool look_up(struct tenant *t, struct hotkeys *h, unsigned i) {
	struct key key = top_keys_at(&h->big, i);
	const struct entry *e = keyspace_find(t, &key, LOOKUP_PEEK);
	if (e == NULL)
		top_keys_remove(&h->big, i);
	else
		h->big.keys[i].weight = keyspace_memory(e);
	return e != NULL;
}

static void look_at(struct session *s, struct hotkeys *h, const struct request *r) {
	struct command_keys keys = command_keys_begin(r->command, r->argv, r->argc);
	uint32_t at;
	for (unsigned n = 0; n < KEYS_LOOKED_AT && command_keys_next(&keys, &at); n++) {
		struct key key = request_key(s, r, at);
		const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
		top_keys_count(&h->hot, &key, 1);
		if (e != NULL && keyspace_memory(e) > s->tenant->large)
			top_keys_set(&h->big, &key, keyspace_memory(e));
	}
}

/* Channels are no keys; and to ask about a key, as redis-cli does of all keys on its walks, is not to use it. */
static bool uses_its_keys(const struct command *c) {
	return (c->key_flags & KEY_NOT_KEY) == 0 && (c->key_flags & (KEY_RO | KEY_ACCESS)) != KEY_RO;
}

void hotkeys_sample(struct session *s, const struct request *requests, unsigned count) {
	struct environment *env = s->env;
	int at = (int)count - 1 + env->sample_in;
	const struct request *r = &requests[at < 0 ? 0 : at];
	/* xorshift64 (Marsaglia, 2003): any start but zero. */
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
