#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "harness.h"
#include "net/inbox.h"

#define SENDERS  4
#define MESSAGES 20000

struct letter {
	struct message message;
	unsigned sender;
	unsigned number;
};

static bool is_readable(const struct inbox *i) {
	struct pollfd p = {.fd = i->fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void keeps_the_order(void **state) {
	struct inbox i;
	struct letter letters[3];
	(void)state;
	assert_int_equal(inbox_open(&i), 0);
	assert_false(is_readable(&i));
	assert_null(inbox_take(&i));
	for (int n = 0; n < 3; n++)
		inbox_post(&i, &letters[n].message);
	assert_true(is_readable(&i));
	struct message *m = inbox_take(&i);
	assert_false(is_readable(&i));
	for (int n = 0; n < 3; n++, m = m->next)
		assert_ptr_equal(m, &letters[n].message);
	assert_null(m);
	inbox_wake(&i);
	assert_true(is_readable(&i));
	assert_null(inbox_take(&i));
	inbox_close(&i);
	inbox_close(&i);
}

struct sender {
	struct inbox *inbox;
	unsigned number;
	pthread_t thread;
};

static void *send_all(void *argument) {
	struct sender *s = argument;
	for (unsigned n = 0; n < MESSAGES; n++) {
		struct letter *l = malloc(sizeof(*l));
		if (l == NULL)
			abort();
		*l = (struct letter){.sender = s->number, .number = n};
		inbox_post(s->inbox, &l->message);
	}
	return NULL;
}

/* The receiver sleeps until the eventfd is readable. A lost wakeup ends the test by the timeout of poll. */
static void many_senders_lose_nothing(void **state) {
	struct inbox i;
	struct sender senders[SENDERS];
	unsigned next[SENDERS] = {0}, total = 0;
	(void)state;
	assert_int_equal(inbox_open(&i), 0);
	for (unsigned n = 0; n < SENDERS; n++) {
		senders[n] = (struct sender){.inbox = &i, .number = n};
		assert_int_equal(pthread_create(&senders[n].thread, NULL, send_all, &senders[n]), 0);
	}
	while (total < SENDERS * MESSAGES) {
		struct pollfd p = {.fd = i.fd, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 20000), 1);
		struct message *m = inbox_take(&i);
		while (m != NULL) {
			struct letter *l = (struct letter *)(void *)m;
			m = m->next;
			assert_int_equal(l->number, next[l->sender]++);
			total++;
			free(l);
		}
	}
	for (unsigned n = 0; n < SENDERS; n++)
		pthread_join(senders[n].thread, NULL);
	assert_null(inbox_take(&i));
	inbox_close(&i);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_order),
		cmocka_unit_test(many_senders_lose_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
