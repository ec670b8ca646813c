/* The worker's account of the time that a shard takes for each tenant. */
#pragma once

#include <stdbool.h>

struct tenant;

struct work_account {
	/* A slice of work begins. Returns the tenant that the worker worked for before, or NULL. */
	struct tenant *(*begin)(void *context);
	/* The time from now on is for `t`; NULL: for no tenant. After a slice, `t` is the tenant of begin(). */
	void (*work_for)(void *context, struct tenant *t);
	/* Returns whether the slice may go on. */
	bool (*has_time)(void *context);
	void *context;
};
