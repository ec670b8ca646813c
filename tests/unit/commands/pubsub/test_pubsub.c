/* Limits of pattern matching: a command that exceeds them is refused, and keyspace events skip the costly pattern. */
#include "atomdb/events/subscriptions.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/glob.h"
#include "world.h"

#define OK     "+OK\r\n"
#define COSTLY "-ERR the pattern takes too long to match\r\n"
#define LONG   4000

/* Takes LONG steps for each byte of a text. */
static char costly[LONG];
/* Takes a tenth of that, so that it may be subscribed to. */
static struct slice slow;
static char text[100 * LONG];

static void fill(void) {
	memset(text, 'a', sizeof(text));
	memset(costly, '?', sizeof(costly));
	costly[0] = '*';
	costly[LONG - 1] = 'b';
	slow = (struct slice){costly, LONG / 10};
}

static struct slice text_of(size_t len) {
	return (struct slice){text, len};
}

static const char *run(struct client *c, const char *words, struct slice last) {
	struct slice argv[8];
	static char copy[256];
	uint32_t argc = 0;
	char *rest;
	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = slice_of(word);
	argv[argc++] = last;
	return client_run(c, argv, argc);
}

static void test_commands_refuse_patterns_that_take_too_long(void **state) {
	static const char *const commands[] = {
		"KEYS", "SCAN 0 MATCH", "PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS", "PSUBSCRIBE fine",
	};
	static char class[1 << 20];
	struct client *a;
	struct world *w = open_world(NULL, &a);
	(void)state;
	fill();
	struct slice set[] = {SLICE("SET"), text_of(2 * LONG), SLICE("v")};
	assert_string_equal(client_run(a, set, 3), OK);
	expect_part(a, "HELLO 3", "%7");
	run(a, "SUBSCRIBE", text_of(2 * LONG));
	run(a, "SSUBSCRIBE", text_of(2 * LONG));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_string_equal(run(a, commands[i], (struct slice){costly, LONG}), COSTLY);
	expect(a, "PUBSUB NUMPAT", ":0\r\n");
	/* Names of commands and parameters are short: only a long class is costly. */
	memset(class, '!', sizeof(class));
	memcpy(class, "*[", 2);
	assert_string_equal(run(a, "COMMAND LIST FILTERBY PATTERN", (struct slice){class, sizeof(class)}), COSTLY);
	assert_string_equal(run(a, "CONFIG GET", (struct slice){class, sizeof(class)}), COSTLY);
	assert_string_equal(run(a, "COMMAND LIST FILTERBY PATTERN", (struct slice){costly, LONG}), "*0\r\n");
	assert_string_equal(run(a, "CONFIG GET", (struct slice){costly, LONG}), "%0\r\n");
	close_world(w, a);
}

static void test_publish_is_refused_as_a_whole(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = client_new(w, a->session.env->worker);
	(void)state;
	fill();
	expect(b, "AUTH secret", OK);
	run(b, "SUBSCRIBE", text_of(sizeof(text)));
	run(b, "PSUBSCRIBE", slow);
	struct slice publish[] = {SLICE("PUBLISH"), text_of(sizeof(text)), SLICE("m")};
	assert_string_equal(client_run(a, publish, 3),
			    "-ERR the channel takes too long to match with the patterns of this tenant\r\n");
	assert_int_equal(b->pushed.len, 0);
	publish[1] = text_of(100);
	assert_string_equal(client_run(a, publish, 3), ":0\r\n");
	/* It matches within the limit. */
	text[999] = 'b';
	publish[1] = text_of(1000);
	assert_string_equal(client_run(a, publish, 3), ":1\r\n");
	client_free(b);
	close_world(w, a);
}

static void test_patterns_of_a_transaction_share_their_work(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct slice set[] = {SLICE("SET"), text_of(2 * LONG), SLICE("v")};
	(void)state;
	fill();
	assert_string_equal(client_run(a, set, 3), OK);
	expect(a, "MULTI", OK);
	for (unsigned i = 0; i < 50; i++)
		assert_string_equal(run(a, "KEYS", (struct slice){costly, LONG}), "+QUEUED\r\n");
	expect_part(a, "EXEC", COSTLY COSTLY);
	assert_int_equal(a->session.env->pattern_work, 0);
	expect(a, "KEYS x*", "*0\r\n");
	assert_int_equal(a->session.env->pattern_work, GLOB_WORK);
	close_world(w, a);
}

static void test_patterns_of_a_tenant_are_limited(void **state) {
	struct tenant_limits limits = {.max_memory = 0};
	struct client *a;
	struct world *w = open_world(&limits, &a);
	(void)state;
	char line[64];
	unsigned n = 0;
	do {
		assert_true(n < 100000);
		snprintf(line, sizeof(line), "PSUBSCRIBE p:%06u", n++);
	} while (strncmp(ask(a, line), "*3", 2) == 0);
	expect(a, line, "-ERR the patterns of this tenant are too many or too long\r\n");
	assert_in_range(n, 14000, 15000);
	/* Subscribes to all patterns or to none. A present subscription does not count again. */
	expect_part(a, "PSUBSCRIBE p:000001 p:000002", "p:000002");
	expect_part(a, "PUNSUBSCRIBE p:000001", "punsubscribe");
	expect(a, "PSUBSCRIBE p:000001 x", "-ERR the patterns of this tenant are too many or too long\r\n");
	expect_part(a, "PSUBSCRIBE p:000001", "*3");
	close_world(w, a);
}

static unsigned count(const struct buffer *b, const char *what) {
	unsigned n = 0;
	size_t len = strlen(what);
	for (size_t i = 0; i + len <= b->len; i++)
		n += memcmp(b->data + i, what, len) == 0;
	return n;
}

static void test_events_do_not_wait_for_slow_patterns(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = client_new(w, a->session.env->worker);
	struct slice argv[801] = {SLICE("MSET")};
	(void)state;
	fill();
	expect(b, "AUTH secret", OK);
	expect(a, "CONFIG SET notify-keyspace-events KEA", OK);
	run(b, "PSUBSCRIBE", slow);
	run(b, "PSUBSCRIBE", SLICE("__key*"));
	/* The slow pattern is given up for this name; the other one gets the event. */
	argv[1] = text_of(20 * LONG);
	argv[2] = SLICE("v");
	assert_string_equal(client_run(a, argv, 3), OK);
	assert_int_equal(count(&b->pushed, "__key*"), 2);
	const counter *lost = &a->session.tenant->counters.lost_events;
	uint64_t first = counter_get(lost);
	assert_in_range(first, 1, 4);
	expect(a, "DEL absent", ":0\r\n");
	assert_int_equal(counter_get(lost), first);
	/* The events of a command share its steps, and the next command has new ones. */
	for (unsigned i = 1; i <= 800; i += 2) {
		argv[i] = (struct slice){text + i, 10 * LONG};
		argv[i + 1] = SLICE("v");
	}
	b->pushed.len = 0;
	assert_string_equal(client_run(a, argv, 801), OK);
	assert_int_equal(a->session.tenant->clients.subscriptions->event_work, 0);
	assert_in_range(counter_get(lost), first + 400, first + 1600);
	b->pushed.len = 0;
	expect(a, "SET k v", OK);
	assert_int_equal(count(&b->pushed, "__key*"), 2);
	/* A transaction is one command. */
	expect(a, "MULTI", OK);
	for (unsigned i = 1; i <= 800; i += 2)
		assert_string_equal(client_run(a, (struct slice[]){SLICE("SET"), argv[i], SLICE("v")}, 3),
				    "+QUEUED\r\n");
	expect_part(a, "EXEC", "*400");
	assert_int_equal(a->session.tenant->clients.subscriptions->event_work, 0);
	client_free(b);
	close_world(w, a);
}

static void test_prefixes_of_a_tenant_are_limited(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	static char names[3000][8];
	static struct slice argv[4 + 2 * 3000] = {SLICE("CLIENT"), SLICE("TRACKING"), SLICE("ON"), SLICE("BCAST")};
	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(names[i], sizeof(names[i]), "p:%04u", i);
		argv[4 + 2 * i] = SLICE("PREFIX");
		argv[5 + 2 * i] = slice_of(names[i]);
	}
	expect_part(a, "HELLO 3", "%7");
	assert_string_equal(client_run(a, argv, 4 + 2 * 3000),
			    "-ERR the prefixes of this tenant are too many or too long\r\n");
	assert_string_equal(client_run(a, argv, 4 + 2 * 1000), OK);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_refuse_patterns_that_take_too_long),
		cmocka_unit_test(test_publish_is_refused_as_a_whole),
		cmocka_unit_test(test_patterns_of_a_transaction_share_their_work),
		cmocka_unit_test(test_patterns_of_a_tenant_are_limited),
		cmocka_unit_test(test_events_do_not_wait_for_slow_patterns),
		cmocka_unit_test(test_prefixes_of_a_tenant_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
