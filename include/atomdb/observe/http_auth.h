/* Who may see what over HTTP: an optional secret, sent as a bearer token or as the password of basic authentication. */
#pragma once

#include <stdbool.h>

#include "atomdb/store/registry.h"
#include "atomdb/util/counter.h"
#include "atomdb/util/log.h"

/* The control plane sets it, and may change it between two requests. */
struct guard {
	bool set;        /* there is a secret; else everything is open to everybody */
	bool everything; /* all figures need it; else only those of the tenants */
	struct secret secret;
	counter failures;                /* wrong secrets */
	const struct event_sink *events; /* not owned; may be NULL */
};

enum guard_verdict {
	GUARD_KNOWN, /* the secret was sent, or there is none */
	GUARD_UNKNOWN,
	GUARD_WRONG,
};

/* What the value of a request's Authorization says; NULL: it has none. Whatever comes as an authorization and is not
 * the secret is GUARD_WRONG. Takes as long for a wrong secret as for the right one. */
enum guard_verdict guard_check(const struct guard *g, const char *authorization);
/* Counts and reports a wrong secret; `client` is the address that sent it. */
void guard_report(struct guard *g, const char *client);
