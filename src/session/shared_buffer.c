#include "atomdb/session/shared_buffer.h"

#include <stdlib.h>

#include "atomdb/session/client_memory.h"

struct shared *shared_buffer_new(struct tenant *t, size_t size) {
	size_t charged = sizeof(struct shared) + size;
	if (size > SIZE_MAX / 2 || client_memory_charge(t, NULL, charged, CHARGE_LATER) < 0)
		return NULL;
	struct shared *m = calloc(1, sizeof(*m));
	if (m == NULL || buffer_reserve(&m->bytes, size, size) < 0) {
		free(m);
		client_memory_discharge(t, charged);
		return NULL;
	}
	m->tenant = t;
	m->holders = 1;
	m->charged = charged;
	return m;
}

struct shared *shared_buffer_hold(struct shared *m) {
	m->holders++;
	return m;
}

void shared_buffer_release(struct shared *m) {
	if (m == NULL || --m->holders > 0)
		return;
	client_memory_discharge(m->tenant, m->charged);
	buffer_deinit(&m->bytes);
	free(m);
}
