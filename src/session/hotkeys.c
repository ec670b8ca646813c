#include "atomdb/session/hotkeys.h"

#include <stdlib.h>
#include <strings.h>

#include "atomdb/session/keys.h"
#include "atomdb/session/reply.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "commands/handlers.h"

#define DEFAULT_COUNT 10
#define MOST_COUNT    1000
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

/* The tenant's, made where there are none; NULL without memory. `ask` as in tenant_stats_alloc. */
static struct hotkeys *open_hotkeys(struct tenant *t, bool ask) {
	struct tenant_stats *n = tenant_stats_open(t, ask);
	if (n != NULL && n->hotkeys == NULL)
		n->hotkeys = tenant_stats_alloc(t, sizeof(*n->hotkeys), ask);
	return n == NULL ? NULL : n->hotkeys;
}

void hotkeys_free(struct tenant *t, struct hotkeys *h) {
	if (h == NULL)
		return;
	top_keys_clear(&h->hot);
	top_keys_clear(&h->big);
	tenant_discharge(t, sizeof(*h) + h->charged);
	free(h);
}

void hotkeys_reset(struct tenant *t) {
	struct hotkeys *h = t->tenant_stats == NULL ? NULL : t->tenant_stats->hotkeys;
	if (h == NULL)
		return;
	top_keys_clear(&h->hot);
	h->samples = 0;
	settle(t, h);
}

/* What Redis's counter is after so many uses, on average, with its default lfu-log-factor of 10: a new key has 5, and
 * from c on the next one needs 10 (c - 5) + 1 of them ("LFU eviction" in Redis's documentation of key eviction). */
unsigned hotkeys_frequency(const struct tenant *t, const struct key *key) {
	const struct hotkeys *h = t->tenant_stats == NULL ? NULL : t->tenant_stats->hotkeys;
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
	struct hotkeys *h = open_hotkeys(t, false);
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
	struct command_keys keys = command_keys_begin(r->command, r->argc);
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
	struct hotkeys *h = open_hotkeys(s->tenant, true);
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

/* --- the commands ------------------------------------------------------------------------------------------------ */

/* [COUNT n]; false where it was answered what is wrong with it. */
static bool read_count(struct session *s, const struct request *r, int64_t *count) {
	*count = DEFAULT_COUNT;
	if (r->argc == 1)
		return true;
	if (r->argc != 3 || !slice_is(r->argv[1], "COUNT")) {
		reply_syntax_error(s);
		return false;
	}
	if (!request_integer(s, r->argv[2], count))
		return false;
	if (*count >= 1 && *count <= MOST_COUNT)
		return true;
	reply_error(s, "ERR value is out of range, value must between 1 and 1000");
	return false;
}

/* Answers the heaviest `count` keys of the database, each a row of its name and its weight times `scale`. */
static enum outcome reply_top(struct session *s, const struct top_keys *top, int64_t count, uint64_t scale) {
	uint8_t order[TOP_KEYS];
	unsigned n = top_keys_order(top, s->db_slot, order);
	while (n > 0 && top_key_sure(&top->keys[order[n - 1]]) == 0)
		n--;
	if (count < n)
		n = (unsigned)count;
	writer_array(s->reply, n);
	for (unsigned i = 0; i < n; i++) {
		const struct top_key *k = &top->keys[order[i]];
		writer_array(s->reply, 2);
		writer_bulk(s->reply, (struct slice){k->name, k->len});
		writer_integer(s->reply, (int64_t)(top_key_sure(k) * scale));
	}
	return OUTCOME_DONE;
}

enum outcome cmd_hotkeys(struct session *s, const struct request *r) {
	int64_t count;
	if (!read_count(s, r, &count))
		return OUTCOME_DONE;
	struct hotkeys *h = open_hotkeys(s->tenant, true);
	return h == NULL ? reply_store_error(s, ATOMDB_E_OOM) : reply_top(s, &h->hot, count, HOTKEYS_EVERY);
}

enum outcome cmd_bigkeys(struct session *s, const struct request *r) {
	int64_t count;
	if (!read_count(s, r, &count))
		return OUTCOME_DONE;
	struct hotkeys *h = open_hotkeys(s->tenant, true);
	if (h == NULL)
		return reply_store_error(s, ATOMDB_E_OOM);
	for (unsigned i = h->big.count; i-- > 0;)
		look_up(s->tenant, h, i);
	settle(s->tenant, h);
	return reply_top(s, &h->big, count, 1);
}
