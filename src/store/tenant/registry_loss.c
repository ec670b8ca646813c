#include "atomdb/store/registry_loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "atomdb/store/tenant.h"

static const char *const limit_names[KEY_LIMITS] = {"max_entries", "max_memory", "eviction"};

void registry_count_loss(struct registry_loss *loss, const struct tenant *t, enum key_limit limit, uint64_t becomes) {
	const struct tenant_counters *f = &t->counters;
	uint64_t keys = counter_get(&f->keys), bytes = counter_get(&f->bytes);
	if (loss->count < LOSS_SHOWN) {
		const char *name = tenant_name(t);
		memcpy(loss->shown[loss->count].name, name, strlen(name) + 1);
		loss->shown[loss->count].keys = keys;
		loss->shown[loss->count].bytes = bytes;
		loss->shown[loss->count].limit = limit;
		loss->shown[loss->count].becomes = becomes;
	}
	loss->count++;
	loss->limited += limit != KEY_LIMITS;
	loss->keys += keys;
	loss->bytes += bytes;
}

static size_t describe_one(const struct registry_loss *loss, size_t i, char *out, size_t size) {
	char limit[64] = "";
	enum key_limit which = loss->shown[i].limit;
	if (which == KEY_LIMIT_EVICTION)
		snprintf(limit, sizeof limit, ": eviction \"lru\"");
	else if (which != KEY_LIMITS)
		snprintf(limit, sizeof limit, ": %s %" PRIu64, limit_names[which], loss->shown[i].becomes);
	return (size_t)snprintf(out, size, "%s%s (%" PRIu64 " keys, %" PRIu64 " bytes%s)", i > 0 ? ", " : "",
				loss->shown[i].name, loss->shown[i].keys, loss->shown[i].bytes, limit);
}

void registry_describe_loss(const struct registry_loss *loss, char *out, size_t size) {
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < loss->count && i < LOSS_SHOWN && n < size; i++)
		n += describe_one(loss, i, out + n, size - n);
	if (loss->count > LOSS_SHOWN && n < size)
		snprintf(out + n, size - n, " and %zu more, in all %" PRIu64 " keys, %" PRIu64 " bytes",
			 loss->count - LOSS_SHOWN, loss->keys, loss->bytes);
}
