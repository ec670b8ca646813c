/* Places for clients: max_clients and the shares of tenants. */
#pragma once

#include <stdint.h>

struct worker_shared;

/* Returns the number of clients of all workers that have a tenant. */
uint64_t accept_authenticated(const struct worker_shared *shared);
/* Returns the places of `most` (0: no limit) that are reserved for the operator and for clients that have not
 * authenticated. */
uint64_t accept_kept_places(uint32_t most);
