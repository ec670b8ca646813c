/* The health of the daemon, as the control plane found it and /health shows it. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/buffer.h"

enum health_state { HEALTH_LOADING, HEALTH_SERVING, HEALTH_STOPPING };

struct health {
	enum health_state state;
	unsigned stuck_worker; /* with `stuck` */
	bool stuck;            /* a worker does not answer */
	bool clients_full;     /* new clients are turned away */
	/* With these, present clients are served, but some of their requests are refused. */
	bool memory_full;   /* writes were refused lately: all tenants together have all that they may */
	bool tenants_full;  /* new tenants were refused lately */
	bool reload_failed; /* the configuration in force is not the one that was last to be read */
};

/* Returns whether clients are served. */
bool health_ok(const struct health *h);
/* Appends the JSON body, one line: the state in a word, and each check. 0 or -ENOMEM. */
int health_render(const struct health *h, struct buffer *out);
