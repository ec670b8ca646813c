/* Bytes that are sent to several clients of a tenant. They are held and charged once, until they are sent to the last
 * of them. Only the tenant's worker uses them. */
#pragma once

#include "atomdb/session/client_memory.h"
#include "atomdb/util/buffer.h"

/* Shorter messages are copied for each client. */
#define SHARED_BUFFER_MIN ((size_t)16 << 10)

struct shared {
	struct client_charge charge;
	unsigned holders;
	struct buffer bytes; /* its creator appends to it before there are other holders */
};

/* Creates an empty buffer with room for `size` bytes, and charges the tenant. The caller is its first holder. Returns
 * NULL if there is no room. */
struct shared *shared_buffer_new(struct tenant *t, size_t size);
/* Adds a holder. Returns `m`. */
struct shared *shared_buffer_hold(struct shared *m);
/* Removes a holder. The last one frees and discharges the buffer. NULL is ignored. */
void shared_buffer_release(struct shared *m);
