/* The HTTP resources, by path. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/observe/http_content.h"
#include "atomdb/util/buffer.h"

/* A request, without its path. */
struct http_query {
	bool tenants;   /* the client may see tenants */
	uint64_t after; /* ?after= */
};

struct http_resource {
	const char *path;
	const char *type;
	bool guarded; /* shows counters: http.secret_file may protect it */
	bool page;    /* sent with the policy of the page */
	/* Appends the body. Returns the status, or a negative error. */
	int (*render)(const struct http_content *content, const struct http_query *query, struct buffer *out);
};

/* Returns the resource of a path, or NULL. `accept` is the value of the Accept header, or NULL: it selects the format
 * of /metrics. */
const struct http_resource *http_resources_find(const char *path, const char *accept);
/* Appends a text with all paths. Returns 0 or -ENOMEM. */
int http_resources_list(struct buffer *out);
