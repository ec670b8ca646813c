#include "atomdb/events/keyspace_events.h"
#include "atomdb/events/subscriptions.h"
#include "atomdb/store/tenant.h"
#include "world.h"

static void test_letters_are_parsed_and_written_in_the_order_of_redis(void **state) {
	static const struct {
		const char *given, *kept;
	} table[] = {{"", ""},           {"KEA", "AKE"}, {"g$lshzxetd", "A"}, {"KEn", "nKE"}, {"nmKE", "nKEm"},
		     {"mnKE$", "$nKEm"}, {"xg", "gx"},   {"AAm", "Am"},       {"KEAn", "AKE"}};
	char text[NOTIFY_TEXT];
	uint32_t classes = 7;
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_true(keyspace_events_parse(slice_of(table[i].given), &classes));
		keyspace_events_format(classes, text);
		assert_string_equal(text, table[i].kept);
	}
}

static void test_an_unknown_letter_changes_nothing(void **state) {
	uint32_t classes = 7;
	(void)state;
	assert_false(keyspace_events_parse(SLICE("Kq"), &classes));
	assert_false(keyspace_events_parse(SLICE("k"), &classes));
	assert_int_equal(classes, 7);
}

static void test_an_event_has_one_message_by_key_and_one_by_event(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	ask(c, "PSUBSCRIBE *");
	keyspace_events_set(t, NOTIFY_KEYSPACE | NOTIFY_GENERIC);
	keyspace_event_publish(t, NOTIFY_GENERIC, "del", 3, SLICE("k"));
	assert_string_equal(pushed(c), "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$16\r\n__keyspace@3__:k\r\n$3\r\ndel\r\n");
	keyspace_events_set(t, NOTIFY_KEYEVENT | NOTIFY_GENERIC);
	keyspace_event_publish(t, NOTIFY_GENERIC, "del", 3, SLICE("k"));
	assert_string_equal(pushed(c), "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$18\r\n__keyevent@3__:del\r\n$1\r\nk\r\n");
	keyspace_events_set(t, NOTIFY_ALL);
	keyspace_event_publish(t, NOTIFY_GENERIC, "del", 3, SLICE("k"));
	assert_string_equal(pushed(c), "");
	close_world(w, c);
}

static void test_the_store_reports_changes_while_their_events_are_enabled(void **state) {
	static const struct {
		uint32_t classes;
		bool reported;
	} table[] = {
		{0, false},
		{NOTIFY_KEYSPACE | NOTIFY_GENERIC, false}, /* commands publish these events themselves */
		{NOTIFY_EXPIRED, false},                   /* on no channel */
		{NOTIFY_KEYEVENT | NOTIFY_EXPIRED, true},
		{NOTIFY_KEYEVENT | NOTIFY_MISS, true},
		{NOTIFY_KEYSPACE | NOTIFY_NEW, true},
		{NOTIFY_KEYSPACE | NOTIFY_EVICTED, true},
		{0, false},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	ask(c, "SUBSCRIBE c");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		keyspace_events_set(t, table[i].classes);
		assert_int_equal(t->watcher != NULL, table[i].reported);
		assert_int_equal(t->clients.subscriptions->interest, table[i].reported);
	}
	close_world(w, c);
}

static void test_a_reported_change_is_published_if_its_class_is_enabled(void **state) {
	static const struct {
		enum change change;
		uint32_t class;
		const char *event;
	} table[] = {{CHANGE_NEW, NOTIFY_NEW, ":new\r\n"},
		     {CHANGE_EXPIRED, NOTIFY_EXPIRED, ":expired\r\n"},
		     {CHANGE_EVICTED, NOTIFY_EVICTED, ":evicted\r\n"},
		     {CHANGE_MISSED, NOTIFY_MISS, ":keymiss\r\n"}};
	const uint32_t every = NOTIFY_ALL | NOTIFY_MISS | NOTIFY_NEW;
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	ask(c, "PSUBSCRIBE *");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		keyspace_events_set(t, NOTIFY_KEYEVENT | table[i].class);
		keyspace_events_key_changed(t->clients.subscriptions, table[i].change, 0, SLICE("k"));
		assert_non_null(strstr(pushed(c), table[i].event));
		keyspace_events_set(t, NOTIFY_KEYEVENT | (every & ~table[i].class));
		keyspace_events_key_changed(t->clients.subscriptions, table[i].change, 0, SLICE("k"));
		assert_string_equal(pushed(c), "");
	}
	keyspace_events_set(t, NOTIFY_KEYEVENT | every);
	keyspace_events_key_changed(t->clients.subscriptions, CHANGE_FLUSH, 0, SLICE(""));
	assert_string_equal(pushed(c), "");
	close_world(w, c);
}

static void test_the_second_event_of_a_change_is_not_counted(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	const struct key key = keyspace_key(t, c->session.db_slot, SLICE("k"));
	uint64_t before = t->clients.changes;
	(void)state;
	/* ask() reads '_' as a space. */
	const struct slice subscribe[] = {SLICE("SUBSCRIBE"), SLICE("__keyevent@0__:one"), SLICE("__keyevent@0__:two")};
	client_run(c, subscribe, 3);
	keyspace_events_set(t, NOTIFY_KEYEVENT | NOTIFY_GENERIC);
	keyspace_event(&c->session, NOTIFY_GENERIC, "one", &key);
	assert_non_null(strstr(pushed(c), ":one\r\n$1\r\nk\r\n"));
	keyspace_event_also(&c->session, NOTIFY_GENERIC, "two", &key);
	assert_non_null(strstr(pushed(c), ":two\r\n$1\r\nk\r\n"));
	keyspace_event_also(&c->session, NOTIFY_STRING, "two", &key);
	assert_string_equal(pushed(c), "");
	assert_int_equal(t->clients.changes, before + 1);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_are_parsed_and_written_in_the_order_of_redis),
		cmocka_unit_test(test_an_unknown_letter_changes_nothing),
		cmocka_unit_test(test_an_event_has_one_message_by_key_and_one_by_event),
		cmocka_unit_test(test_the_store_reports_changes_while_their_events_are_enabled),
		cmocka_unit_test(test_a_reported_change_is_published_if_its_class_is_enabled),
		cmocka_unit_test(test_the_second_event_of_a_change_is_not_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
