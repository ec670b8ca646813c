/* The hosts by whose names HTTP clients may ask for counters.
 *
 * A web page can have the name of its own host resolved to this machine (DNS rebinding), and then reads what the
 * server answers. The request still names the page's host. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/slice.h"

#define HOSTS_MAX 16
#define HOST_MAX  112 /* bytes of a name */

struct hosts {
	char own[256];                       /* the machine's name, or "" */
	char names[HOSTS_MAX][HOST_MAX + 1]; /* of the configuration */
	unsigned count;
	bool any; /* every host is known */
};

/* The set begins with the machine's own name alone. */
void hosts_init(struct hosts *h);
void hosts_add(struct hosts *h, const char *name);
/* Returns whether `host`, with or without a port, is an IP address, localhost, the machine's name, or a name that was
 * added. */
bool hosts_know(const struct hosts *h, struct slice host);
