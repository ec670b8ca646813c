/* The places for clients: max_clients and its shares. */
#pragma once

#include <stdint.h>

struct worker_shared;

/* Clients of all workers that have a tenant. */
uint64_t accept_authenticated(const struct worker_shared *shared);
/* The places of `most` (0: no limit) that are kept for the operator and for clients that have yet to authenticate. */
uint64_t accept_kept_places(uint32_t most);
