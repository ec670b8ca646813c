/* Memory of a tenant's statistics. It does not count as memory of its clients. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/store/tenant.h"

/* Allocates zeroed memory and charges the tenant. Returns NULL without memory. If `ask` is true, it evicts keys for the
 * memory, and returns NULL if the quota has no room; otherwise it ignores the quota. */
void *stats_memory_alloc(struct tenant *t, size_t bytes, bool ask);
/* Frees and discharges memory of stats_memory_alloc() for the same tenant and size. NULL is ignored. */
void stats_memory_free(struct tenant *t, void *memory, size_t bytes);
