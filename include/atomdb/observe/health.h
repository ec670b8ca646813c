/* The health of the daemon. The control plane sets it, and /health shows it. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"

enum health_state { HEALTH_LOADING, HEALTH_SERVING, HEALTH_STOPPING };

struct health {
	enum health_state state;
	unsigned stuck_worker; /* with `stuck`: number of the worker */
	bool stuck;            /* a worker does not answer */
	bool clients_full;     /* new clients are rejected */
	/* In the states below AtomDB serves its clients, but refuses some of their requests. */
	bool memory_full;   /* writes were refused recently: all tenants together have used max_memory */
	bool tenants_full;  /* new tenants were refused recently */
	bool reload_failed; /* the last reload failed: the present configuration differs from the file */
};

/* Returns whether clients are served. */
bool health_ok(const struct health *h);
/* Appends the JSON body, one line: the state as a word, and each check. Returns 0 or -ENOMEM. */
int health_render(const struct health *h, struct buffer *out);
