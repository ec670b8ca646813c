/* HOTKEYS and BIGKEYS: which keys of a tenant are used most, and which take most memory, without a walk through them.
 *
 * About one of HOTKEYS_EVERY commands is looked at, before it runs, and the keys that it names are counted. What is
 * large is noted as it is written, and of the keys that were looked at; what is noted is looked up again, some with
 * each sample and all when somebody asks. */
#pragma once

#include "atomdb/session/session.h"
#include "atomdb/session/top_keys.h"

/* One of this many commands is looked at, on average. */
#define HOTKEYS_EVERY 256

struct hotkeys {
	struct top_keys hot, big;
	uint32_t samples; /* since the weights of `hot` were halved */
	unsigned next;    /* of `big`, the one to be looked up with the next sample */
	size_t charged;   /* for the names */
};

/* The tenant's, made if there is none; NULL: no memory. `ask` as in stats_memory_alloc. */
struct hotkeys *hotkeys_open(struct tenant *t, bool ask);
/* Frees and discharges the tenant's, as it ends. */
void hotkeys_free(struct tenant *t);
/* Looks up again what each of the big keys takes. */
void hotkeys_weigh_big(struct tenant *t);
/* Forgets which keys were hot. */
void hotkeys_reset(struct tenant *t);
/* How often a key of that name was used lately, told as by Redis's LFU counter: 0 to 255, and nearly the logarithm. It
 * fades as the tenant's clients use other keys, not with time. 0 is also what is not among the keys that are kept. */
unsigned hotkeys_frequency(const struct tenant *t, const struct key *key);
/* Module hook: large keys of the tenant are noted as they are written. */
void hotkeys_attach(struct session *s);

/* Looks at one of `count` prepared requests: the one at which environment.sample_in reached 0. */
void hotkeys_sample(struct session *s, const struct request *requests, unsigned count);
/* Counts prepared requests that are about to run, and samples one of them if it is time. */
static inline void hotkeys_count(struct session *s, const struct request *requests, unsigned count) {
	if (__builtin_expect((s->env->sample_in -= (int)count) <= 0, 0))
		hotkeys_sample(s, requests, count);
}
