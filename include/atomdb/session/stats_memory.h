/* Memory of a tenant's statistics. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "atomdb/store/tenant.h"

/* Zeroed memory that the tenant is charged for; NULL: no memory. `ask`: NULL also if the quota has no room. Otherwise
 * nothing is evicted and nothing refused for it. */
void *stats_memory_alloc(struct tenant *t, size_t bytes, bool ask);
/* Frees and discharges. NULL is fine. */
void stats_memory_free(struct tenant *t, void *memory, size_t bytes);
