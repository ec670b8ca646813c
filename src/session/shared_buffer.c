#include "atomdb/session/shared_buffer.h"

#include <stdlib.h>

struct shared *shared_buffer_new(struct tenant *t, size_t size) {
	struct client_charge charge = {.tenant = t};
	if (size > SIZE_MAX / 2 || client_charge_grow(&charge, NULL, sizeof(struct shared) + size, CHARGE_LATER) < 0)
		return NULL;
	struct shared *m = calloc(1, sizeof(*m));
	if (m == NULL || buffer_reserve(&m->bytes, size, size) < 0) {
		free(m);
		client_charge_release(&charge);
		return NULL;
	}
	m->charge = charge;
	m->holders = 1;
	return m;
}

struct shared *shared_buffer_hold(struct shared *m) {
	m->holders++;
	return m;
}

void shared_buffer_release(struct shared *m) {
	if (m == NULL || --m->holders > 0)
		return;
	struct client_charge charge = m->charge;
	buffer_deinit(&m->bytes);
	free(m);
	client_charge_release(&charge);
}
