#include "atomdb/session/hotkeys.h"
#include "world.h"

static uint64_t charged(const struct client *c) {
	return counter_get(&c->session.tenant->counters.bytes);
}

/* Samples a command of one argument, or none. */
static void sample(struct client *c, const char *command, const char *argument) {
	const struct slice argv[] = {slice_of(command), slice_of(argument)};
	struct request r = {.argv = argv, .argc = *argument == '\0' ? 1 : 2};
	dispatch_prepare(&c->session, &r, 1);
	c->session.env->sample_in = 0;
	hotkeys_sample(&c->session, &r, 1);
}

/* The same for a prepared request, of any command. */
static void sample_as_prepared(struct client *c, const char *command, const char *argument) {
	const struct slice argv[] = {slice_of(command), slice_of(argument)};
	const struct request r = {
		.argv = argv,
		.argc = *argument == '\0' ? 1 : 2,
		.command = command_find(&command_set, argv[0]),
		.hashed = c->session.attachments,
	};
	c->session.env->sample_in = 0;
	hotkeys_sample(&c->session, &r, 1);
}

static uint64_t weight(const struct client *c, const char *name, const struct top_keys *top) {
	struct key key = keyspace_key(c->session.tenant, c->session.db_slot, slice_of(name));
	return top_keys_weight(top, &key);
}

static uint64_t heat(const struct client *c, const char *name) {
	const struct hotkeys *h = c->session.tenant->clients.hotkeys;
	return h == NULL ? 0 : weight(c, name, &h->hot);
}

static uint64_t size(const struct client *c, const char *name) {
	const struct hotkeys *h = c->session.tenant->clients.hotkeys;
	return h == NULL ? 0 : weight(c, name, &h->big);
}

static void test_the_request_that_ends_the_gap_is_sampled(void **state) {
	const struct slice argv[3][2] = {
		{SLICE("GET"), SLICE("a")}, {SLICE("GET"), SLICE("b")}, {SLICE("GET"), SLICE("c")}};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct environment *env = c->session.env;
	struct request r[3];
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		r[i] = (struct request){.argv = argv[i], .argc = 2};
	dispatch_prepare(&c->session, r, 3);
	env->sample_in = 4;
	hotkeys_count(&c->session, r, 3);
	assert_null(c->session.tenant->clients.hotkeys);
	assert_int_equal(env->sample_in, 1);
	env->sample_in = 2;
	hotkeys_count(&c->session, r, 3);
	assert_int_equal(heat(c, "a"), 0);
	assert_int_equal(heat(c, "b"), 1);
	assert_int_equal(heat(c, "c"), 0);
	/* The third request counts in the next gap. */
	assert_in_range(env->sample_in, HOTKEYS_EVERY / 2 - 1, HOTKEYS_EVERY + HOTKEYS_EVERY / 2 - 1);
	close_world(w, c);
}

static void test_gaps_between_samples_vary_around_their_mean(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	int64_t sum = 0;
	int least = INT32_MAX, most = 0;
	(void)state;
	c->session.env->sample_random = 1;
	for (unsigned i = 0; i < 1000; i++) {
		sample(c, "GET", "a");
		int gap = c->session.env->sample_in;
		assert_in_range(gap, HOTKEYS_EVERY / 2, HOTKEYS_EVERY + HOTKEYS_EVERY / 2);
		least = gap < least ? gap : least;
		most = gap > most ? gap : most;
		sum += gap;
	}
	assert_in_range(sum / 1000, HOTKEYS_EVERY - 16, HOTKEYS_EVERY + 16);
	assert_true(least < HOTKEYS_EVERY / 2 + 16);
	assert_true(most > HOTKEYS_EVERY + HOTKEYS_EVERY / 2 - 16);
	close_world(w, c);
}

static void test_only_commands_that_use_their_keys_count(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	sample(c, "PING", "");
	sample_as_prepared(c, "GET", "");
	sample_as_prepared(c, "SSUBSCRIBE", "a");
	sample(c, "NOTHING", "a");
	sample(c, "TYPE", "a");
	sample(c, "EXISTS", "a");
	assert_null(c->session.tenant->clients.hotkeys);
	sample(c, "GET", "a");
	sample(c, "INCR", "a");
	sample(c, "DEL", "a");
	assert_int_equal(heat(c, "a"), 3);
	close_world(w, c);
}

static void test_names_are_charged_until_they_are_forgotten(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	uint64_t before = charged(c);
	sample(c, "GET", "name");
	assert_int_equal(charged(c), before + sizeof(struct hotkeys) + sizeof("name"));
	sample(c, "GET", "name");
	sample(c, "GET", "x");
	assert_int_equal(charged(c), before + sizeof(struct hotkeys) + sizeof("name") + sizeof("x"));
	hotkeys_reset(t);
	assert_int_equal(heat(c, "name"), 0);
	assert_int_equal(charged(c), before + sizeof(struct hotkeys));
	sample(c, "GET", "name");
	assert_int_equal(heat(c, "name"), 1);
	hotkeys_free(t);
	assert_null(t->clients.hotkeys);
	assert_int_equal(charged(c), before);
	hotkeys_free(t);
	hotkeys_reset(t);
	close_world(w, c);
}

static void test_a_tenant_without_room_is_not_sampled(void **state) {
	const struct tenant_limits limits = {.max_memory = 65536, .eviction = EVICTION_NONE};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	tenant_charge_anyway(t, 65536);
	uint64_t before = charged(c);
	sample(c, "GET", "a");
	assert_null(t->clients.hotkeys);
	assert_null(hotkeys_open(t, true));
	assert_int_equal(charged(c), before);
	struct hotkeys *h = hotkeys_open(t, false);
	assert_non_null(h);
	assert_ptr_equal(hotkeys_open(t, true), h);
	assert_int_equal(charged(c), before + sizeof(*h));
	tenant_discharge(t, 65536);
	close_world(w, c);
}

static unsigned frequency(const struct client *c, const char *name) {
	struct key key = keyspace_key(c->session.tenant, c->session.db_slot, slice_of(name));
	return hotkeys_frequency(c->session.tenant, &key);
}

static void test_the_frequency_grows_as_that_of_redis(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	assert_int_equal(frequency(c, "a"), 0);
	sample(c, "GET", "a");
	/* 256 uses: 1 + 11 + 21 + 31 + 41 + 51 + 61 = 217 of them make seven steps from 5, the eighth needs 71. */
	assert_int_equal(frequency(c, "a"), 12);
	assert_int_equal(frequency(c, "b"), 0);
	sample(c, "GET", "a");
	/* 217 + 71 + 81 + 91 = 460. */
	assert_int_equal(frequency(c, "a"), 15);
	for (unsigned i = 2; i < 2000; i++)
		sample(c, "GET", "a");
	assert_int_equal(frequency(c, "a"), 255);
	close_world(w, c);
}

static void test_earlier_samples_weigh_half_after_8192(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (unsigned i = 0; i < 8191; i++)
		sample(c, "GET", "a");
	assert_int_equal(heat(c, "a"), 8191);
	sample(c, "GET", "a");
	assert_int_equal(heat(c, "a"), 4096);
	sample(c, "GET", "a");
	assert_int_equal(heat(c, "a"), 4097);
	close_world(w, c);
}

static void test_large_keys_are_recorded_when_written_or_sampled(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SETRANGE big 2999 x", ":3000\r\n");
	assert_in_range(size(c, "big"), 3000, 5000);
	assert_int_equal(heat(c, "big"), 0);
	assert_int_equal(c->session.tenant->clients.hotkeys->charged, sizeof("big"));
	expect(c, "SET small 1", "+OK\r\n");
	sample(c, "GET", "small");
	assert_true(size(c, "small") < 3000);
	uint64_t written = size(c, "big");
	top_keys_clear(&c->session.tenant->clients.hotkeys->big);
	sample(c, "GET", "big");
	assert_int_equal(size(c, "big"), written);
	close_world(w, c);
}

static void test_large_keys_are_measured_again_with_each_sample_and_on_request(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct tenant *t = c->session.tenant;
	(void)state;
	expect(c, "SETRANGE one 1999 x", ":2000\r\n");
	expect(c, "SETRANGE two 2999 x", ":3000\r\n");
	assert_int_equal(t->clients.hotkeys->big.count, 2);
	expect(c, "SET two 1", "+OK\r\n");
	expect(c, "DEL one", ":1\r\n");
	hotkeys_weigh_big(t);
	assert_int_equal(t->clients.hotkeys->big.count, 1);
	assert_in_range(size(c, "two"), 1, 1000);
	expect(c, "DEL two", ":1\r\n");
	sample(c, "GET", "x");
	assert_int_equal(t->clients.hotkeys->big.count, 0);
	/* Only the name of the hot key is charged. */
	uint64_t before = charged(c);
	hotkeys_free(t);
	assert_int_equal(charged(c), before - sizeof(struct hotkeys) - sizeof("x"));
	hotkeys_weigh_big(t);
	assert_null(t->clients.hotkeys);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_request_that_ends_the_gap_is_sampled),
		cmocka_unit_test(test_gaps_between_samples_vary_around_their_mean),
		cmocka_unit_test(test_only_commands_that_use_their_keys_count),
		cmocka_unit_test(test_names_are_charged_until_they_are_forgotten),
		cmocka_unit_test(test_a_tenant_without_room_is_not_sampled),
		cmocka_unit_test(test_the_frequency_grows_as_that_of_redis),
		cmocka_unit_test(test_earlier_samples_weigh_half_after_8192),
		cmocka_unit_test(test_large_keys_are_recorded_when_written_or_sampled),
		cmocka_unit_test(test_large_keys_are_measured_again_with_each_sample_and_on_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
