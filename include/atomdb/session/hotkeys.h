/* HOTKEYS and BIGKEYS: the most used and the largest keys of a tenant, without a walk through all keys.
 *
 * The worker samples one of HOTKEYS_EVERY commands on average, before the command runs, and counts its keys. A large
 * key is recorded when it is written or sampled. Each sample checks some of the recorded keys again, and BIGKEYS checks
 * all of them. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/session/top_keys.h"

/* Commands between two samples, on average. */
#define HOTKEYS_EVERY 256

struct hotkeys {
	struct top_keys hot, big;
	uint32_t samples; /* samples since the weights of `hot` were halved */
	unsigned next;    /* the key of `big` that the next sample checks */
	size_t charged;   /* bytes charged for the names */
};

/* Returns the tenant's state, which it makes if there is none. NULL: no memory. `ask` as in stats_memory_alloc. */
struct hotkeys *hotkeys_open(struct tenant *t, bool ask);
/* Frees and discharges the state of a tenant that ends. */
void hotkeys_free(struct tenant *t);
/* Checks the size of all big keys again. */
void hotkeys_weigh_big(struct tenant *t);
/* Forgets the hot keys. */
void hotkeys_reset(struct tenant *t);
/* Returns how often the key was used lately, in the units of Redis's LFU counter: 0 to 255, nearly the logarithm. It
 * decreases as clients of the tenant use other keys, not with time. 0 also for a key that is not among the hot keys. */
unsigned hotkeys_frequency(const struct tenant *t, const struct key *key);
/* Module hook: records large keys of the tenant when they are written. */
void hotkeys_attach(struct session *s);

/* Samples one of `count` prepared requests: the one at which environment.sample_in reached 0. */
void hotkeys_sample(struct session *s, const struct request *requests, unsigned count);
/* Counts prepared requests that are about to run. Samples one of them if a sample is due. */
static inline void hotkeys_count(struct session *s, const struct request *requests, unsigned count) {
	if (__builtin_expect((s->env->sample_in -= (int)count) <= 0, 0))
		hotkeys_sample(s, requests, count);
}
