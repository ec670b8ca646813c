#include "atomdb/session/stats_memory.h"

#include <stdlib.h>

void *stats_memory_alloc(struct tenant *t, size_t bytes, bool ask) {
	if (!ask)
		tenant_charge_anyway(t, bytes);
	else if (tenant_charge_in_quota(t, bytes) < 0)
		return NULL;
	void *memory = calloc(1, bytes);
	if (memory == NULL)
		tenant_discharge(t, bytes);
	return memory;
}

void stats_memory_free(struct tenant *t, void *memory, size_t bytes) {
	if (memory == NULL)
		return;
	tenant_discharge(t, bytes);
	free(memory);
}
