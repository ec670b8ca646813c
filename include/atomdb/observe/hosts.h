/* Host names that HTTP requests for counters may use.
 *
 * A web page can let the name of its own host resolve to this machine (DNS rebinding), and then read AtomDB's
 * responses. The request still names the page's host. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/slice.h"

#define HOSTS_MAX 16
#define HOST_MAX  112 /* maximum length of a name in bytes */

struct hosts {
	char own[256];                       /* name of the machine, or "" */
	char names[HOSTS_MAX][HOST_MAX + 1]; /* names of the configuration */
	unsigned count;
	bool any; /* every host is allowed */
};

/* Initializes the set with the name of the machine. */
void hosts_init(struct hosts *h);
void hosts_add(struct hosts *h, const char *name);
/* Returns whether `host`, with or without a port, is an IP address, localhost, the name of the machine, or an added
 * name. */
bool hosts_know(const struct hosts *h, struct slice host);
