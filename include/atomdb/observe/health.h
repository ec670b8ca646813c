/* Whether the daemon serves, and if not why: a state that the control plane sets and /health tells. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"

enum health_state { HEALTH_LOADING, HEALTH_SERVING, HEALTH_STOPPING };

struct health {
	enum health_state state;
	unsigned stuck_worker; /* with `stuck` */
	bool stuck;            /* a worker does not answer */
};

/* Whether the state is one in which clients are served. */
bool health_ok(const struct health *h);
/* Appends the JSON body, one line. 0 or -ENOMEM. */
int health_render(const struct health *h, struct buffer *out);
