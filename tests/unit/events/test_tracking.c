#include "alloc_fail.h"
#include "atomdb/events/tracking.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

#define OK      "+OK\r\n"
#define CHANGED ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
#define ALL     ">2\r\n$10\r\ninvalidate\r\n_\r\n"

static uint64_t charged(const struct client *c) {
	return counter_get(&c->session.tenant->counters.bytes);
}

/* A server with a client of RESP3 that tracks with options. */
static struct world *tracking_world(const struct tenant_limits *limits, struct client **c, uint32_t options) {
	struct world *w = open_world(limits, c);
	expect_part(*c, "HELLO 3", "%7");
	assert_int_equal(subscriber_open(&(*c)->session), 0);
	assert_int_equal(tracking_enable(&(*c)->session, NULL, options, NULL, 0), 0);
	return w;
}

static void test_a_change_is_sent_once_to_each_reader_of_the_key(void **state) {
	struct client *a;
	struct world *w = tracking_world(NULL, &a, 0);
	struct client *b = join(w, a);
	(void)state;
	struct subscriptions *h = a->session.tenant->clients.subscriptions;
	ask(a, "MGET k l");
	ask(b, "GET other");
	tracking_changed(h, SLICE("other"));
	assert_string_equal(pushed(a), "");
	tracking_changed(h, SLICE("k"));
	assert_string_equal(pushed(a), CHANGED);
	tracking_changed(h, SLICE("k"));
	assert_string_equal(pushed(a), "");
	/* Writing a key does not read it. */
	ask(a, "SET k 1");
	tracking_changed(h, SLICE("k"));
	assert_string_equal(pushed(a), "");
	client_free(b);
	close_world(w, a);
}

static void test_caching_is_the_exception_of_one_command(void **state) {
	static const struct {
		uint32_t option;
		bool usual; /* keys are remembered without CLIENT CACHING */
		const char *line;
	} table[] = {{TRACKING_OPTIN, false, "CLIENT CACHING YES"}, {TRACKING_OPTOUT, true, "CLIENT CACHING NO"}};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client *c;
		struct world *w = tracking_world(NULL, &c, table[i].option);
		ask(c, "GET one");
		assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), table[i].usual);
		expect(c, table[i].line, OK);
		ask(c, "GET two");
		assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 1);
		ask(c, "GET three");
		assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), table[i].usual ? 2 : 1);
		close_world(w, c);
	}
}

static void test_the_commands_of_client_leave_caching_to_the_next_one(void **state) {
	struct client *c;
	struct world *w = tracking_world(NULL, &c, TRACKING_OPTIN);
	size_t count;
	const struct command *client = command_find(&command_set, SLICE("client"));
	const struct command *sub = command_subcommands(&command_set, client, &count);
	(void)state;
	for (size_t i = 0; i < count; i++)
		assert_true(sub[i].flags & CMD_KEEPS_CACHING);
	expect(c, "CLIENT CACHING YES", OK);
	ask(c, "CLIENT GETNAME");
	ask(c, "CLIENT bogus");
	ask(c, "GET one");
	assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 1);
	expect(c, "CLIENT CACHING YES", OK);
	ask(c, "PING");
	ask(c, "GET two");
	assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 1);
	close_world(w, c);
}

static void test_noloop_leaves_out_only_own_changes(void **state) {
	struct client *a;
	struct world *w = tracking_world(NULL, &a, TRACKING_NOLOOP);
	struct client *b = join(w, a);
	(void)state;
	ask(a, "GET k");
	ask(a, "SET k 1");
	assert_string_equal(pushed(a), "");
	ask(a, "GET k");
	ask(b, "SET k 2");
	assert_string_equal(pushed(a), CHANGED);
	client_free(b);
	close_world(w, a);
}

static void test_the_oldest_keys_leave_a_full_table_as_changed(void **state) {
	const struct tenant_limits limits = {.max_memory = 16 * 8192};
	struct client *c;
	struct world *w = tracking_world(&limits, &c, 0);
	const struct subscriptions *h = c->session.tenant->clients.subscriptions;
	char line[32];
	(void)state;
	for (unsigned i = 100; i < 200; i++) {
		snprintf(line, sizeof(line), "GET k%u", i);
		ask(c, line);
	}
	assert_true(h->tracked_bytes <= 8192);
	assert_true(h->tracked_bytes > 8192 - 1024);
	const char *text = pushed(c);
	assert_non_null(strstr(text, "\r\nk100\r\n"));
	assert_null(strstr(text, "\r\nk199\r\n"));
	assert_null(subscriptions_find(h, CHANNEL_TRACKED_KEY, 0, SLICE("k100")));
	assert_non_null(subscriptions_find(h, CHANNEL_TRACKED_KEY, 0, SLICE("k199")));
	close_world(w, c);
}

static void test_a_long_name_is_sent_as_changed_and_not_remembered(void **state) {
	const struct tenant_limits limits = {.max_memory = 16 * 8192};
	static char name[1025];
	struct client *c;
	struct world *w = tracking_world(&limits, &c, 0);
	(void)state;
	memset(name, 'n', sizeof(name));
	struct slice argv[] = {SLICE("GET"), {name, 1024}};
	client_run(c, argv, 2);
	assert_string_equal(pushed(c), "");
	assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 1);
	argv[1].len++;
	client_run(c, argv, 2);
	assert_non_null(strstr(pushed(c), "$1025\r\nnnn"));
	assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 1);
	close_world(w, c);
}

static void test_a_flush_ends_the_tracked_keys_and_a_swap_does_not(void **state) {
	struct client *c;
	struct world *w = tracking_world(NULL, &c, 0);
	struct subscriptions *h = c->session.tenant->clients.subscriptions;
	(void)state;
	ask(c, "MGET k l");
	tracking_swapped(h);
	assert_string_equal(pushed(c), ALL);
	assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 2);
	tracking_flushed(h);
	assert_string_equal(pushed(c), ALL);
	assert_int_equal(subscription_count(&c->session, CHANNEL_TRACKED_KEY), 0);
	assert_int_equal(h->tracked_bytes, 0);
	close_world(w, c);
}

static void test_tracking_off_charges_nothing_and_asks_for_no_changes(void **state) {
	const struct slice prefixes[] = {SLICE("p"), SLICE("q")};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	tracking_disable(s);
	assert_int_equal(tracking_redirection(s, false), -1);
	assert_int_equal(subscriber_open(s), 0);
	uint64_t before = charged(c);
	for (unsigned n = 0; n < 2; n++)
		assert_int_equal(tracking_enable(s, NULL, TRACKING_BCAST, prefixes, 2), 0);
	assert_int_equal(subscription_count(s, CHANNEL_TRACKED_PREFIX), 2);
	assert_int_equal(s->tenant->clients.subscriptions->trackers, 1);
	assert_int_equal(tracking_redirection(s, false), 0);
	assert_non_null(s->tenant->watcher);
	assert_true(s->flags & SESSION_TRACKING);
	tracking_disable(s);
	assert_int_equal(charged(c), before);
	assert_int_equal(s->tenant->clients.subscriptions->trackers, 0);
	assert_null(s->tenant->watcher);
	assert_false(s->tenant->clients.attention);
	assert_false(s->flags & SESSION_TRACKING);
	close_world(w, c);
}

static void test_prefixes_without_room_leave_tracking_off(void **state) {
	const struct tenant_limits limits = {.max_memory = 16384, .eviction = EVICTION_NONE};
	static char name[1 << 20];
	const struct slice prefixes[] = {SLICE("p"), {name, sizeof(name)}};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	uint64_t before = charged(c);
	assert_int_equal(tracking_enable(s, NULL, TRACKING_BCAST, prefixes, 2), ATOMDB_E_OOM);
	assert_int_equal(tracking_redirection(s, false), -1);
	assert_int_equal(charged(c), before);
	close_world(w, c);
}

static void test_tracking_stays_off_and_charges_nothing_if_its_allocation_fails(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	uint64_t before = charged(c), held = s->event_bytes;
	/* The tracking, then what a prefix allocates. */
	for (unsigned nth = 1; nth <= 5; nth++) {
		const struct slice prefix = SLICE("p");
		alloc_fail_at = nth;
		assert_int_equal(tracking_enable(s, NULL, TRACKING_BCAST, &prefix, 1), ATOMDB_E_OOM);
		assert_int_equal(alloc_fail_at, 0);
		assert_int_equal(tracking_redirection(s, false), -1);
		assert_null(s->tenant->watcher);
		assert_int_equal(charged(c), before);
		assert_int_equal(s->event_bytes, held);
		assert_int_equal(subscription_add(s, CHANNEL_GLOBAL, 0, SLICE("other")), 1);
		subscription_remove_all(s, CHANNEL_GLOBAL);
	}
	close_world(w, c);
}

static void test_letters_show_the_mode_and_a_broken_redirection(void **state) {
	static const struct {
		uint32_t options;
		const char *letters;
	} table[] = {{0, "t"},
		     {TRACKING_BCAST, "tB"},
		     {TRACKING_BROKEN, "tR"},
		     {TRACKING_BROKEN | TRACKING_BCAST, "tRB"},
		     {TRACKING_OPTIN | TRACKING_NOLOOP, "t"}};
	char letters[4];
	struct client *c;
	struct world *w = tracking_world(NULL, &c, 0);
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		c->session.subscriber->tracking->options = table[i].options;
		tracking_letters(&c->session, letters);
		assert_string_equal(letters, table[i].letters);
	}
	tracking_disable(&c->session);
	tracking_letters(&c->session, letters);
	assert_string_equal(letters, "");
	close_world(w, c);
}

static void test_a_redirection_outlives_its_receiver_by_its_id_only(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	assert_int_equal(subscriber_open(&a->session), 0);
	assert_int_equal(subscriber_open(&b->session), 0);
	assert_int_equal(tracking_turn_on(&a->session, &b->session, 0), 0);
	int64_t id = (int64_t)b->session.id;
	assert_int_equal(tracking_redirection(&a->session, false), id);
	assert_int_equal(tracking_redirection(&a->session, true), b->session.global_id);
	client_free(b);
	assert_null(a->session.subscriber->tracking->redirect);
	assert_int_equal(tracking_redirection(&a->session, false), id);
	close_world(w, a);
}

/* Serializes the tracking of one session, and restores it for another. */
static int hand_over(const struct session *from, struct session *to) {
	static const struct field fields[] = {{"tracking", FIELD_BYTES, 0, SIZE_MAX, 0}};
	struct buffer bytes;
	struct slice record;
	buffer_init(&bytes);
	struct serializer out = {.out = &bytes};
	tracking_serialize(from, &out, "tracking");
	assert_int_equal(out.error, 0);
	assert_int_equal(deserialize_record(buffer_slice(&bytes), fields, 1, &record), 0);
	int error = tracking_deserialize(to, record);
	buffer_deinit(&bytes);
	return error;
}

static void test_the_next_process_restores_tracking_and_finds_the_receiver(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a), *to = join(w, a);
	const uint32_t options = TRACKING_OPTIN | TRACKING_CACHING | TRACKING_NOLOOP;
	(void)state;
	assert_int_equal(subscriber_open(&a->session), 0);
	assert_int_equal(subscriber_open(&to->session), 0);
	assert_int_equal(tracking_turn_on(&a->session, &to->session, options), 0);
	assert_int_equal(hand_over(&a->session, &b->session), 0);
	const struct tracking *x = b->session.subscriber->tracking;
	assert_int_equal(x->options, options);
	assert_null(x->redirect);
	tracking_link(&b->session);
	assert_ptr_equal(x->redirect, &to->session);
	client_free(to);
	assert_null(x->redirect);
	client_free(b);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_change_is_sent_once_to_each_reader_of_the_key),
		cmocka_unit_test(test_caching_is_the_exception_of_one_command),
		cmocka_unit_test(test_the_commands_of_client_leave_caching_to_the_next_one),
		cmocka_unit_test(test_noloop_leaves_out_only_own_changes),
		cmocka_unit_test(test_the_oldest_keys_leave_a_full_table_as_changed),
		cmocka_unit_test(test_a_long_name_is_sent_as_changed_and_not_remembered),
		cmocka_unit_test(test_a_flush_ends_the_tracked_keys_and_a_swap_does_not),
		cmocka_unit_test(test_tracking_off_charges_nothing_and_asks_for_no_changes),
		cmocka_unit_test(test_prefixes_without_room_leave_tracking_off),
		cmocka_unit_test(test_tracking_stays_off_and_charges_nothing_if_its_allocation_fails),
		cmocka_unit_test(test_letters_show_the_mode_and_a_broken_redirection),
		cmocka_unit_test(test_a_redirection_outlives_its_receiver_by_its_id_only),
		cmocka_unit_test(test_the_next_process_restores_tracking_and_finds_the_receiver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
