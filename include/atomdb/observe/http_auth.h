/* Authentication over HTTP: an optional secret, sent as a bearer token or as the password of basic authentication. */
#pragma once

#include <stdbool.h>

#include "atomdb/store/secret.h"
#include "atomdb/util/counter.h"
#include "atomdb/util/log.h"

/* The control plane sets it, and may change it between two requests. */
struct http_auth {
	bool set;        /* there is a secret; else everything is open to everybody */
	bool everything; /* all counters need it; else only those of the tenants */
	struct secret secret;
	counter failures;              /* wrong secrets */
	const struct log_sink *events; /* not owned; may be NULL */
};

enum http_auth_verdict {
	HTTP_AUTH_KNOWN, /* the secret was sent, or there is none */
	HTTP_AUTH_UNKNOWN,
	HTTP_AUTH_WRONG,
};

/* What the value of a request's Authorization says; NULL: it has none. Whatever comes as an authorization and is not
 * the secret is HTTP_AUTH_WRONG. Takes as long for a wrong secret as for the right one. */
enum http_auth_verdict http_auth_check(const struct http_auth *g, const char *authorization);
/* Counts and reports a wrong secret; `client` is the address that sent it. */
void http_auth_report(struct http_auth *g, const char *client);
