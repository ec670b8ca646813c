/* The parts that a task owns: the arguments, the reply, and its way back to the pending input. */
#include "turned.h"

/* Sends EXISTS of `count` keys in such a way that it is suspended, and returns its task. */
static struct task *suspend_exists(struct turned_client c, unsigned count) {
	char *text = malloc((size_t)count * 24 + 64), *at = text;
	assert_non_null(text);
	at += sprintf(at, "*%u\r\n$6\r\nEXISTS\r\n", 1 + count);
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at, "$8\r\nkey%05u\r\n", i);
	int size = 1 << 21;
	setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	client_send_bytes(c.fd, text, (size_t)(at - text));
	free(text);
	for (unsigned i = 0; i < 100 && task_of(c.connection) == NULL; i++)
		loop_turn(c.of->worker, 0);
	assert_non_null(task_of(c.connection));
	return task_of(c.connection);
}

static void expect_arguments(const struct task *k, unsigned count) {
	char name[16];
	assert_int_equal(k->request.argc, 1 + count);
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "key%05u", i);
		assert_true(slice_equal(k->request.argv[1 + i], slice_of(name)));
	}
	if (k->request.hashed != 0)
		assert_ptr_equal(k->request.key.name.data, k->request.argv[1].data);
}

static void a_task_copies_few_arguments_and_takes_over_many(void **state) {
	const unsigned counts[] = {70, 250, 300, 5000, 20000};
	struct turned *s = turned_new();
	(void)state;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct turned_client c = turned_auth(s, "tenant");
		struct task *k = suspend_exists(c, counts[i]);
		/* Other input comes in meanwhile. */
		struct turned_client other = turned_auth(s, "other");
		turned_ask(other, "SET aaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", "+OK\r\n");
		expect_arguments(k, counts[i]);
		assert_true(task_memory(k) >= counts[i] * sizeof(struct slice));
		turned_finish(s);
		turned_expect(c, ":0\r\n");
	}
	turned_free(s);
}

static void a_command_that_is_put_back_is_the_first_pending_one(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client c = turned_auth(s, "tenant");
	struct task *k = suspend_exists(c, 70);
	assert_int_equal(task_put_back(k), 0);
	struct slice bytes = buffer_slice(&c.connection->pending->bytes);
	const char *begin = "*71\r\n$6\r\nEXISTS\r\n$8\r\nkey00000\r\n";
	assert_true(bytes.len > strlen(begin));
	assert_memory_equal(bytes.data, begin, strlen(begin));
	assert_memory_equal(bytes.data + bytes.len - 10, "key00069\r\n", 10);
	buffer_deinit(&c.connection->pending->bytes);
	turned_finish(s);
	turned_expect(c, ":0\r\n");
	turned_free(s);
}

static void only_a_reader_ends_early_when_nobody_gets_the_reply(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client c = turned_auth(s, "tenant");
	struct task *k = suspend_exists(c, 1000);
	task_cancel_reply(k);
	assert_true(k->fiber->cancelled);
	turned_finish(s);
	char dropped[512];
	assert_true(recv(c.fd, dropped, sizeof(dropped), 0) > 0);
	turned_ask(c, "MULTI\r\n", "+OK\r\n");
	for (unsigned i = 0; i < 20; i++)
		turned_ask(c, "INCR a\r\n", "+QUEUED\r\n");
	client_send(c.fd, "EXEC\r\n");
	loop_turn(s->worker, 0);
	k = task_of(c.connection);
	assert_non_null(k);
	task_cancel_reply(k);
	assert_false(k->fiber->cancelled);
	/* The rest of the reply is not collected. */
	size_t bytes = k->out.len;
	turned_turns(s, 10);
	assert_ptr_equal(task_of(c.connection), k);
	assert_int_equal(k->out.len, bytes);
	turned_finish(s);
	turned_free(s);
}

static void a_large_reply_is_not_copied_to_the_worker(void **state) {
	struct turned *s = turned_new();
	(void)state;
	struct turned_client c = turned_auth(s, "tenant");
	struct task *k = suspend_exists(c, 70);
	struct worker *w = s->worker;
	assert_int_equal(buffer_reserve(&k->out, 1 << 20, SIZE_MAX), 0);
	char *data = k->out.data;
	memset(data, 'x', 1 << 20);
	k->out.len = 1 << 20;
	w->output.len = w->output_begin = 0;
	task_take_reply(k);
	assert_ptr_equal(w->output.data, data);
	assert_int_equal(w->output.len, 1 << 20);
	w->output.len = 0;
	turned_finish(s);
	turned_free(s);
}

/* Makes a string of `size` bytes that begins with `begin`. */
static void make_large(struct turned_client c, unsigned size, const char *begin) {
	char text[128];
	snprintf(text, sizeof(text), "SETRANGE a %u x\r\nSETRANGE a 0 %s\r\n", size - 1, begin);
	client_send(c.fd, text);
	turned_finish(c.of);
	snprintf(text, sizeof(text), ":%u\r\n:%u\r\n", size, size);
	turned_expect(c, text);
}

static void expect_large(struct turned_client c, unsigned size, const char *begin) {
	static char got[3 << 20];
	char expected[64];
	size_t all = 0;
	for (unsigned i = 0; i < 1000 && all < size; i++) {
		turned_turns(c.of, 1);
		for (ssize_t n; (n = recv(c.fd, got + all, sizeof(got) - all, 0)) > 0;)
			all += (size_t)n;
	}
	snprintf(expected, sizeof(expected), "$%u\r\n%s", size, begin);
	assert_memory_equal(got, expected, strlen(expected));
	assert_int_equal(all, size + strlen(expected) - strlen(begin) + 2);
}

/* The value is pinned until it is sent. Other commands run between the end of its command and the last byte. */
static void a_task_has_a_pinned_value_of_its_own(void **state) {
	enum { LARGE = 1200000, OTHER = 1100000 };
	struct turned *s = turned_new();
	(void)state;
	struct turned_client first = turned_auth(s, "first"), busy = turned_auth(s, "busy"),
			     other = turned_auth(s, "other");
	make_large(busy, LARGE, "busy");
	make_large(other, OTHER, "other");
	(void)suspend_exists(first, 70);
	client_send(busy.fd, "GETRANGE a 0 -1\r\n");
	turned_turns(s, 1);
	assert_non_null(task_of(busy.connection));
	client_send(other.fd, "GET a\r\n");
	expect_large(other, OTHER, "other");
	expect_large(busy, LARGE, "busy");
	turned_free(s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_copies_few_arguments_and_takes_over_many),
		cmocka_unit_test(a_command_that_is_put_back_is_the_first_pending_one),
		cmocka_unit_test(only_a_reader_ends_early_when_nobody_gets_the_reply),
		cmocka_unit_test(a_large_reply_is_not_copied_to_the_worker),
		cmocka_unit_test(a_task_has_a_pinned_value_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
