#include "atomdb/observe/health.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "observe/text.h"

bool health_ok(const struct health *h) {
	return h->state == HEALTH_SERVING && !h->stuck && !h->clients_full;
}

static const char *status_word(const struct health *h) {
	if (h->state != HEALTH_SERVING)
		return h->state == HEALTH_LOADING ? "loading" : "stopping";
	if (h->stuck)
		return "stuck";
	if (h->clients_full)
		return "full";
	return h->memory_full || h->tenants_full || h->reload_failed ? "degraded" : "ok";
}

/* Writes one check. `reason` is NULL if it passes. The number of the stuck worker is part of its reason. */
static void render_check(struct text *t, const char *name, const char *reason, const unsigned *worker) {
	text_string(t, "\"");
	text_string(t, name);
	text_string(t, reason == NULL ? "\":{\"status\":\"ok\"" : "\":{\"status\":\"failed\",\"reason\":\"");
	if (reason != NULL && worker != NULL) {
		text_string(t, "worker ");
		text_u64(t, *worker);
		text_string(t, " ");
	}
	if (reason != NULL) {
		text_string(t, reason);
		text_string(t, "\"");
	}
	text_string(t, "}");
}

int health_render(const struct health *h, struct buffer *out) {
	const struct {
		const char *name, *reason;
		const unsigned *worker;
	} checks[] = {
		{"data", h->state == HEALTH_LOADING ? "not loaded yet" : NULL, NULL},
		{"service", h->state == HEALTH_STOPPING ? "stopping" : NULL, NULL},
		{"workers", h->stuck ? "does not answer" : NULL, &h->stuck_worker},
		{"clients", h->clients_full ? "the limit on clients is reached" : NULL, NULL},
		{"memory", h->memory_full ? "writes are refused: max_memory is full" : NULL, NULL},
		{"tenants", h->tenants_full ? "new tenants are refused: a limit is reached" : NULL, NULL},
		{"configuration",
		 h->reload_failed ? "the changed file could not be read; the previous one is in force" : NULL, NULL},
	};
	struct text t = {.out = out};
	text_string(&t, "{\"status\":\"");
	text_string(&t, status_word(h));
	text_string(&t, "\",\"checks\":{");
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		text_string(&t, i == 0 ? "" : ",");
		render_check(&t, checks[i].name, checks[i].reason, checks[i].worker);
	}
	text_string(&t, "}}\n");
	return t.error;
}
