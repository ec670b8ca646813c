/* Bytes that are sent to several clients of a tenant. They are held once and charged once, until the last client has
 * been sent them. For the tenant's worker. */
#pragma once

#include "atomdb/store/tenant.h"
#include "atomdb/util/buffer.h"

/* Less than this is copied for each client. */
#define SHARED_BUFFER_MIN ((size_t)16 << 10)

struct shared {
	struct tenant *tenant;
	unsigned holders;
	size_t charged;
	struct buffer bytes; /* appended to by its maker, before others hold it */
};

/* Room for `size` bytes, charged to the tenant; held by the caller. NULL: there is no room. */
struct shared *shared_buffer_new(struct tenant *t, size_t size);
struct shared *shared_buffer_hold(struct shared *m);
/* NULL is fine. */
void shared_buffer_release(struct shared *m);
