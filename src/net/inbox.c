#include "net/inbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int inbox_open(struct inbox *i) {
	atomic_init(&i->newest, NULL);
	i->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return i->fd < 0 ? -errno : 0;
}

void inbox_close(struct inbox *i) {
	if (i->fd >= 0)
		close(i->fd);
	i->fd = -1;
}

void inbox_wake(struct inbox *i) {
	/* A write fails only if the counter is at its maximum, and then the fd is readable. */
	(void)!write(i->fd, &(uint64_t){1}, sizeof(uint64_t));
}

void inbox_post(struct inbox *i, struct message *m) {
	struct message *top = atomic_load_explicit(&i->newest, memory_order_relaxed);
	do {
		m->next = top;
	} while (!atomic_compare_exchange_weak_explicit(&i->newest, &top, m, memory_order_release,
							memory_order_relaxed));
	/* Now the receiver owns `m`. */
	if (top == NULL)
		inbox_wake(i);
}

struct message *inbox_take(struct inbox *i) {
	uint64_t ignored;
	/* Read the eventfd before the exchange: a sender after the exchange finds an empty stack and makes the fd
	 * readable again. */
	(void)!read(i->fd, &ignored, sizeof(ignored));
	struct message *m = atomic_exchange_explicit(&i->newest, NULL, memory_order_acquire);
	struct message *oldest = NULL;
	while (m != NULL) {
		struct message *next = m->next;
		m->next = oldest;
		oldest = m;
		m = next;
	}
	return oldest;
}
