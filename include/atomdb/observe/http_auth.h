/* Authentication over HTTP: an optional secret, sent as a bearer token or as the password of basic authentication. */
#pragma once

#include <stdbool.h>

#include "atomdb/store/secret.h"
#include "atomdb/util/counter.h"
#include "atomdb/util/log.h"

/* The secret. The control plane sets it, and may change it between two requests. */
struct http_auth {
	bool set;        /* a secret is set; else no request needs one */
	bool everything; /* the secret protects all counters; else only those of tenants */
	struct secret secret;
	counter failures;              /* count of wrong secrets */
	const struct log_sink *events; /* not owned; may be NULL */
};

enum http_auth_verdict {
	HTTP_AUTH_KNOWN, /* the secret was sent, or none is set */
	HTTP_AUTH_UNKNOWN,
	HTTP_AUTH_WRONG,
};

/* Returns the result for the value of a request's Authorization header; NULL: it has none. Any value except the secret
 * is HTTP_AUTH_WRONG. Takes the same time for a wrong and a right secret. */
enum http_auth_verdict http_auth_check(const struct http_auth *g, const char *authorization);
/* Counts and logs a wrong secret from the address `client`. */
void http_auth_report(struct http_auth *g, const char *client);
