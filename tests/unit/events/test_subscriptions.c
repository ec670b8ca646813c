#include "alloc_fail.h"
#include "atomdb/events/subscriptions.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "world.h"

static uint64_t charged(const struct client *c) {
	return counter_get(&c->session.tenant->counters.bytes);
}

static void test_a_session_subscribes_once_to_a_channel(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscription_count(s, CHANNEL_GLOBAL), 0);
	assert_int_equal(subscriber_open(s), 0);
	assert_int_equal(subscription_add(s, CHANNEL_GLOBAL, 0, SLICE("c")), 1);
	assert_int_equal(subscription_add(s, CHANNEL_GLOBAL, 0, SLICE("c")), 0);
	assert_int_equal(subscription_count(s, CHANNEL_GLOBAL), 1);
	assert_true(subscription_remove(s, CHANNEL_GLOBAL, 0, SLICE("c")));
	assert_false(subscription_remove(s, CHANNEL_GLOBAL, 0, SLICE("c")));
	assert_int_equal(subscription_count(s, CHANNEL_GLOBAL), 0);
	close_world(w, c);
}

static void test_a_name_of_another_kind_or_database_is_another_channel(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	assert_int_equal(subscription_add(s, CHANNEL_WATCHED_KEY, 1, SLICE("k")), 1);
	assert_int_equal(subscription_add(s, CHANNEL_GLOBAL, 0, SLICE("other")), 1);
	assert_int_equal(subscription_add(s, CHANNEL_WATCHED_KEY, 0, SLICE("other")), 1);
	assert_non_null(subscriptions_find(h, CHANNEL_WATCHED_KEY, 1, SLICE("k")));
	assert_null(subscriptions_find(h, CHANNEL_WATCHED_KEY, 0, SLICE("k")));
	assert_null(subscriptions_find(h, CHANNEL_GLOBAL, 1, SLICE("k")));
	assert_null(subscriptions_find(h, CHANNEL_GLOBAL, 0, SLICE("k")));
	assert_null(subscriptions_find(h, CHANNEL_WATCHED_KEY, 1, SLICE("")));
	close_world(w, c);
}

static void test_a_channel_ends_with_its_last_subscription(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	assert_int_equal(subscriber_open(&a->session), 0);
	assert_int_equal(subscriber_open(&b->session), 0);
	const struct subscriptions *h = a->session.tenant->clients.subscriptions;
	assert_int_equal(subscription_add(&a->session, CHANNEL_PATTERN, 0, SLICE("p*")), 1);
	assert_int_equal(subscription_add(&b->session, CHANNEL_PATTERN, 0, SLICE("p*")), 1);
	assert_int_equal(h->kinds[CHANNEL_PATTERN].count, 1);
	assert_int_equal(h->kinds[CHANNEL_PATTERN].length, 2);
	assert_int_equal(h->kinds[CHANNEL_PATTERN].subscriptions, 2);
	subscription_remove_all(&a->session, CHANNEL_PATTERN);
	assert_non_null(subscriptions_find(h, CHANNEL_PATTERN, 0, SLICE("p*")));
	assert_int_equal(subscription_count(&b->session, CHANNEL_PATTERN), 1);
	subscription_remove_all(&b->session, CHANNEL_PATTERN);
	assert_null(subscriptions_find(h, CHANNEL_PATTERN, 0, SLICE("p*")));
	assert_int_equal(h->kinds[CHANNEL_PATTERN].length, 0);
	client_free(b);
	close_world(w, a);
}

static void test_the_last_subscriber_takes_all_charges_along(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	uint64_t before = charged(a);
	(void)state;
	assert_int_equal(subscriber_open(&a->session), 0);
	assert_int_equal(subscriber_open(&b->session), 0);
	for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) {
		assert_int_equal(subscription_add(&a->session, (enum channel_kind)kind, 0, SLICE("c")), 1);
		assert_int_equal(subscription_add(&b->session, (enum channel_kind)kind, 0, SLICE("c")), 1);
	}
	subscriber_close(&a->session);
	subscriber_close(&a->session);
	assert_int_equal(a->session.event_bytes, 0);
	assert_non_null(b->session.tenant->clients.subscriptions);
	assert_true(charged(a) > before);
	subscriber_close(&b->session);
	assert_null(b->session.tenant->clients.subscriptions);
	assert_int_equal(charged(a), before);
	client_free(b);
	close_world(w, a);
}

static void test_tracked_keys_are_not_counted_for_the_session(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	uint64_t before = s->event_bytes;
	assert_int_equal(subscription_add(s, CHANNEL_TRACKED_KEY, 0, SLICE("k")), 1);
	assert_int_equal(s->event_bytes, before);
	assert_true(h->tracked_bytes > 0);
	assert_int_equal(subscription_add(s, CHANNEL_WATCHED_KEY, 0, SLICE("k")), 1);
	assert_true(s->event_bytes > before);
	subscription_remove_all(s, CHANNEL_TRACKED_KEY);
	assert_int_equal(h->tracked_bytes, 0);
	close_world(w, c);
}

static void test_the_store_reports_changes_only_for_watched_and_tracked_keys(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) {
		assert_int_equal(subscription_add(s, (enum channel_kind)kind, 0, SLICE("c")), 1);
		assert_int_equal(s->tenant->watcher != NULL,
				 kind == CHANNEL_WATCHED_KEY || kind == CHANNEL_TRACKED_KEY);
		subscription_remove_all(s, (enum channel_kind)kind);
		assert_null(s->tenant->watcher);
	}
	close_world(w, c);
}

static void test_a_subscription_without_room_is_refused_and_charges_nothing(void **state) {
	const struct tenant_limits limits = {.max_memory = 16384, .eviction = EVICTION_NONE};
	static char name[1 << 20];
	struct client *c;
	struct world *w = open_world(&limits, &c);
	struct session *s = &c->session;
	(void)state;
	assert_int_equal(subscriber_open(s), 0);
	uint64_t before = charged(c);
	memset(name, 'n', sizeof(name));
	for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) {
		assert_int_equal(subscription_add(s, (enum channel_kind)kind, 0, (struct slice){name, sizeof(name)}),
				 ATOMDB_E_OOM);
		assert_int_equal(subscription_count(s, (enum channel_kind)kind), 0);
	}
	assert_int_equal(charged(c), before);
	close_world(w, c);
}

static void test_a_subscription_for_which_an_allocation_fails_charges_nothing(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct session *s = &c->session;
	(void)state;
	/* The subscriptions of the tenant, the subscriber. */
	uint64_t none = charged(c);
	for (unsigned nth = 1; nth <= 2; nth++) {
		alloc_fail_at = nth;
		assert_int_equal(subscriber_open(s), ATOMDB_E_OOM);
		assert_int_equal(alloc_fail_at, 0);
		assert_null(s->tenant->clients.subscriptions);
		assert_int_equal(charged(c), none);
		assert_int_equal(s->event_bytes, 0);
	}
	assert_int_equal(subscriber_open(s), 0);
	const struct subscriptions *h = s->tenant->clients.subscriptions;
	uint64_t before = charged(c), held = s->event_bytes;
	for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) {
		/* The subscription, the channel, the buckets of both tables. */
		for (unsigned nth = 1; nth <= 4; nth++) {
			alloc_fail_at = nth;
			assert_int_equal(subscription_add(s, (enum channel_kind)kind, 0, SLICE("c")), ATOMDB_E_OOM);
			assert_int_equal(alloc_fail_at, 0);
			assert_int_equal(subscription_count(s, (enum channel_kind)kind), 0);
			assert_int_equal(h->kinds[kind].count, 0);
			assert_int_equal(charged(c), before);
			assert_int_equal(s->event_bytes, held);
			assert_null(s->tenant->watcher);
			/* Buckets of a table that stays empty are not freed yet. */
			assert_int_equal(subscription_add(s, CHANNEL_GLOBAL, 0, SLICE("other")), 1);
			subscription_remove_all(s, CHANNEL_GLOBAL);
		}
	}
	close_world(w, c);
}

/* Serializes the subscriptions of one session, and restores them for another. */
static int hand_over(const struct session *from, struct session *to) {
	static const struct field fields[] = {{"subscriptions", FIELD_BYTES, 0, SIZE_MAX, 0}};
	struct buffer bytes;
	struct slice record;
	buffer_init(&bytes);
	struct serializer out = {.out = &bytes};
	subscriptions_serialize(from, &out, "subscriptions");
	assert_int_equal(out.error, 0);
	assert_int_equal(deserialize_record(buffer_slice(&bytes), fields, 1, &record), 0);
	int error = subscriptions_deserialize(to, record);
	buffer_deinit(&bytes);
	return error;
}

static void test_the_next_process_restores_subscriptions_in_their_order(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	assert_int_equal(hand_over(&a->session, &b->session), 0);
	assert_null(b->session.subscriber);
	ask(a, "WATCH gone");
	ask(a, "UNWATCH");
	ask(a, "SELECT 3");
	ask(a, "WATCH k");
	ask(a, "SUBSCRIBE z a m");
	ask(a, "SSUBSCRIBE s");
	assert_int_equal(hand_over(&a->session, &b->session), 0);
	const struct subscriptions *h = a->session.tenant->clients.subscriptions;
	assert_int_equal(subscriptions_find(h, CHANNEL_WATCHED_KEY, 3, SLICE("k"))->count, 2);
	assert_int_equal(subscriptions_find(h, CHANNEL_SHARD, 0, SLICE("s"))->count, 2);
	assert_int_equal(subscription_count(&b->session, CHANNEL_GLOBAL), 3);
	const char *names[] = {"z", "a", "m"};
	unsigned n = 0;
	list_for_each (node, &b->session.subscriber->kinds[CHANNEL_GLOBAL].subscriptions) {
		const struct channel *channel = list_entry(node, struct subscription, by_subscriber)->channel;
		assert_true(slice_equal(channel_name(channel), slice_of(names[n++])));
	}
	client_free(b);
	close_world(w, a);
}

static void test_a_prefix_is_restored_only_with_tracking_by_prefix(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	(void)state;
	ask(a, "CLIENT TRACKING ON BCAST PREFIX p");
	assert_int_equal(hand_over(&a->session, &b->session), ATOMDB_E_FORMAT);
	b->session.subscriber->by_prefix = true;
	assert_int_equal(hand_over(&a->session, &b->session), 0);
	assert_int_equal(subscription_count(&b->session, CHANNEL_TRACKED_PREFIX), 1);
	client_free(b);
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session_subscribes_once_to_a_channel),
		cmocka_unit_test(test_a_name_of_another_kind_or_database_is_another_channel),
		cmocka_unit_test(test_a_channel_ends_with_its_last_subscription),
		cmocka_unit_test(test_the_last_subscriber_takes_all_charges_along),
		cmocka_unit_test(test_tracked_keys_are_not_counted_for_the_session),
		cmocka_unit_test(test_the_store_reports_changes_only_for_watched_and_tracked_keys),
		cmocka_unit_test(test_a_subscription_without_room_is_refused_and_charges_nothing),
		cmocka_unit_test(test_a_subscription_for_which_an_allocation_fails_charges_nothing),
		cmocka_unit_test(test_the_next_process_restores_subscriptions_in_their_order),
		cmocka_unit_test(test_a_prefix_is_restored_only_with_tracking_by_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
