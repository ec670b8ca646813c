/* Bytes that are not replies, to a client of another connection's command. */
#include "turned.h"

static struct server *start_with(struct settings settings) {
	struct tenants_config tenants_config = server_open_tenants();
	return server_start(&settings, &tenants_config);
}

static int subscribe(const struct server *s, const char *secret) {
	int fd = client_auth(s, secret);
	client_send(fd, "SUBSCRIBE c\r\n");
	client_expect(fd, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	return fd;
}

static void a_message_reaches_every_subscriber_in_order(void **state) {
	struct server *s = start_with(server_settings());
	(void)state;
	int first = subscribe(s, "one"), second = subscribe(s, "one"), other = subscribe(s, "two");
	int publisher = client_auth(s, "one");
	client_send(publisher, "PUBLISH c a\r\nPUBLISH c b\r\n");
	client_expect(publisher, ":2\r\n:2\r\n");
	for (int i = 0; i < 2; i++)
		client_expect(i == 0 ? first : second, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\na\r\n"
						       "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nb\r\n");
	/* The next bytes of the other tenant's subscriber are the reply to its own command. */
	client_send(other, "PING\r\n");
	client_expect(other, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	close(first);
	close(second);
	close(other);
	close(publisher);
	server_free(s);
}

/* Subscribers share the memory of a message of this size. */
static void a_large_message_is_shared(void **state) {
	enum { SUBSCRIBERS = 8, SIZE = 4 << 20 };
	struct server *s = start_with(server_settings());
	int fds[SUBSCRIBERS];
	char head[128];
	(void)state;
	for (int i = 0; i < SUBSCRIBERS; i++)
		fds[i] = subscribe(s, "shared");
	int publisher = client_auth(s, "shared");
	uint64_t idle = server_tenants(s).bytes;
	char *message = malloc(SIZE);
	assert_non_null(message);
	memset(message, 'm', SIZE);
	snprintf(head, sizeof(head), "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n", SIZE);
	client_send(publisher, head);
	client_send_bytes(publisher, message, SIZE);
	client_send(publisher, "\r\n");
	client_expect(publisher, ":8\r\n");
	assert_true(server_tenants(s).bytes - idle < 2 * SIZE);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		client_expect(fds[i], "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n");
		client_expect_fill(fds[i], 'm', SIZE);
		close(fds[i]);
	}
	free(message);
	close(publisher);
	wait_for(server_sum(s, clients) == 0);
	server_free(s);
}

static void a_subscriber_that_does_not_read_is_closed_alone(void **state) {
	enum { SIZE = 1 << 16, MOST = 1 << 10 };
	struct settings settings = server_settings();
	settings.output_buffer = 1 << 20;
	struct server *s = start_with(settings);
	char head[128], *message = malloc(SIZE);
	(void)state;
	assert_non_null(message);
	memset(message, 'm', SIZE);
	snprintf(head, sizeof(head), "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n", SIZE);
	int silent = subscribe(s, "limit"), publisher = client_auth(s, "limit");
	char reply[4] = ":1\r\n";
	for (int i = 0; i < MOST && memcmp(reply, ":1\r\n", 4) == 0; i++) {
		client_send(publisher, head);
		client_send_bytes(publisher, message, SIZE);
		client_send(publisher, "\r\n");
		client_read(publisher, reply, 4);
	}
	assert_memory_equal(reply, ":0\r\n", 4);
	assert_int_equal(server_sum(s, output_limit), 1);
	assert_int_equal(s->events[LOG_EVENT_OUTPUT_LIMIT], 1);
	client_send(publisher, "PING\r\n");
	client_expect(publisher, "+PONG\r\n");
	free(message);
	close(silent);
	close(publisher);
	server_free(s);
}

#define MESSAGE "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"

/* Connects clients of a tenant that subscribe to c. */
static void turned_subscribe(struct turned *s, const char *secret, struct turned_client *clients, unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		clients[i] = turned_auth(s, secret);
		client_send(clients[i].fd, "SUBSCRIBE c\r\n");
		turned_turns(s, 3);
		turned_expect(clients[i], "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	}
}

/* Returns how many of the clients have something to read. */
static unsigned reached(const struct turned_client *clients, unsigned count) {
	unsigned n = 0;
	char byte;
	for (unsigned i = 0; i < count; i++)
		n += recv(clients[i].fd, &byte, 1, MSG_PEEK) == 1;
	return n;
}

static void close_all(const struct turned_client *clients, unsigned count) {
	for (unsigned i = 0; i < count; i++)
		close(clients[i].fd);
}

/* In these turns a part has no time, so that it sends to as few clients as a part ever does. */
static void one_turn_sends_to_some_clients_and_to_each_tenants(void **state) {
	enum { MANY = 60, MOST = 16 };
	struct turned *s = turned_new();
	struct turned_client many[MANY], few[1];
	(void)state;
	turned_subscribe(s, "many", many, MANY);
	turned_subscribe(s, "few", few, 1);
	struct turned_client loud = turned_auth(s, "many"), quiet = turned_auth(s, "few");
	turned_ask(loud, "PUBLISH c m\r\n", ":60\r\n");
	assert_int_equal(reached(many, MANY), MOST);
	/* The tenant's next message waits for the first one; a neighbour's does not. */
	client_send(loud.fd, "PUBLISH c m\r\n");
	turned_ask(quiet, "PUBLISH c m\r\n", ":1\r\n");
	turned_expect(few[0], MESSAGE);
	turned_expect(loud, "");
	assert_int_equal(reached(many, MANY), 2 * MOST - 1);
	turned_turns(s, 20);
	turned_expect(loud, ":60\r\n");
	for (unsigned i = 0; i < MANY; i++)
		turned_expect(many[i], MESSAGE MESSAGE);
	close_all(many, MANY);
	close_all(few, 1);
	close(loud.fd);
	close(quiet.fd);
	turned_free(s);
}

static void clients_that_leave_before_they_are_sent_to_disturb_nothing(void **state) {
	enum { MANY = 60 };
	struct turned *s = turned_new();
	struct turned_client many[MANY];
	(void)state;
	turned_subscribe(s, "many", many, MANY);
	struct turned_client loud = turned_auth(s, "many");
	turned_ask(loud, "PUBLISH c m\r\n", ":60\r\n");
	/* Some close, and some go to another tenant with their message. */
	for (unsigned i = 0; i < MANY; i += 3)
		connection_close(many[i].connection);
	for (unsigned i = 1; i < MANY; i += 3)
		session_detach(&many[i].connection->session);
	turned_turns(s, 20);
	for (unsigned i = 1; i < MANY; i++)
		if (i % 3 != 0)
			turned_expect(many[i], MESSAGE);
	/* All clients of a tenant with messages leave at once, and it ends. */
	turned_ask(loud, "PUBLISH c m\r\n", ":20\r\n");
	worker_close_clients(s->worker);
	turned_turns(s, 2);
	close_all(many, MANY);
	close(loud.fd);
	turned_free(s);
}

/* Fills a client's socket with messages until the worker cannot send some of them. */
static void fill_socket(struct turned_client ear, struct turned_client publisher) {
	char command[4200], message[4001];
	memset(message, 'm', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	snprintf(command, sizeof(command), "PUBLISH c %s\r\n", message);
	for (unsigned i = 0; i < 1000 && output_unsent(ear.connection) == 0; i++) {
		char reply[64];
		client_send(publisher.fd, command);
		turned_turns(publisher.of, 3);
		(void)!recv(publisher.fd, reply, sizeof(reply), 0);
	}
	assert_true(output_unsent(ear.connection) > 0);
	assert_true(ear.connection->interest & EPOLLOUT);
}

/* Reads all bytes that have arrived. Returns their number. */
static size_t read_all(int fd) {
	static char got[1 << 20];
	size_t all = 0;
	for (ssize_t n; (n = recv(fd, got, sizeof(got), 0)) > 0;)
		all += (size_t)n;
	return all;
}

/* The worker holds the messages of a suspended command, and the output in front of them. If it watched the socket for
 * room, it would wake up in each turn. */
static void a_client_with_held_messages_is_not_watched_for_room(void **state) {
	struct turned *s = turned_new();
	struct turned_client ear[1];
	char text[1024] = "MULTI\r\n", reply[4096];
	struct epoll_event events[16];
	(void)state;
	turned_subscribe(s, "busy", ear, 1);
	struct turned_client busy = turned_auth(s, "busy");
	fill_socket(ear[0], busy);
	for (unsigned i = 0; i < 20; i++)
		strcat(text, "PUBLISH c m\r\n");
	client_send(busy.fd, text);
	turned_turns(s, 2);
	(void)!recv(busy.fd, reply, sizeof(reply), 0);
	client_send(busy.fd, "EXEC\r\n");
	turned_turns(s, 4);
	assert_non_null(busy.connection->session.tenant->clients.task);
	assert_true(output_is_held(ear[0].connection));
	(void)read_all(ear[0].fd);
	assert_int_equal(ear[0].connection->interest & EPOLLOUT, 0);
	assert_int_equal(epoll_wait(s->worker->epoll, events, 16, 0), 0);
	turned_turns(s, 2);
	assert_int_equal(read_all(ear[0].fd), 0);
	turned_finish(s);
	assert_true(read_all(ear[0].fd) >= 20 * strlen(MESSAGE));
	assert_int_equal(output_unsent(ear[0].connection), 0);
	turned_free(s);
}

/* The worker sends large output early, but no message before its command has ended. */
static void large_messages_of_a_suspended_command_are_held(void **state) {
	enum { MESSAGES = 20, SIZE = 30000 };
	struct turned *s = turned_new();
	struct turned_client ear[1];
	static char command[SIZE + 64];
	char reply[1024];
	(void)state;
	turned_subscribe(s, "busy", ear, 1);
	struct turned_client busy = turned_auth(s, "busy");
	turned_ask(busy, "MULTI\r\n", "+OK\r\n");
	snprintf(command, sizeof(command), "PUBLISH c %0*d\r\n", SIZE, 0);
	for (unsigned i = 0; i < MESSAGES; i++)
		turned_ask(busy, command, "+QUEUED\r\n");
	client_send(busy.fd, "EXEC\r\n");
	size_t most = 0;
	for (unsigned i = 0; i < 1000; i++) {
		turned_turns(s, 1);
		if (busy.connection->session.tenant->clients.task == NULL)
			break;
		assert_int_equal(read_all(ear[0].fd), 0);
		most = output_unread(ear[0].connection);
	}
	assert_true(most > (size_t)MESSAGES / 2 * SIZE);
	for (size_t all = 0; all < (size_t)MESSAGES * SIZE; all += read_all(ear[0].fd))
		turned_turns(s, 1);
	assert_true(recv(busy.fd, reply, sizeof(reply), 0) > 0);
	turned_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_reaches_every_subscriber_in_order),
		cmocka_unit_test(a_large_message_is_shared),
		cmocka_unit_test(a_subscriber_that_does_not_read_is_closed_alone),
		cmocka_unit_test(one_turn_sends_to_some_clients_and_to_each_tenants),
		cmocka_unit_test(a_client_with_held_messages_is_not_watched_for_room),
		cmocka_unit_test(large_messages_of_a_suspended_command_are_held),
		cmocka_unit_test(clients_that_leave_before_they_are_sent_to_disturb_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
