#include "atomdb/observe/hosts.h"
#include "harness.h"

static struct hosts make(void) {
	struct hosts h;
	hosts_init(&h);
	strcpy(h.own, "db1.example.com");
	hosts_add(&h, "status.example.org");
	hosts_add(&h, "b.example.org");
	return h;
}

static void knows_addresses_localhost_its_own_name_and_those_added(void **state) {
	static const char *const known[] = {
		"127.0.0.1",  "127.0.0.1:8081", "10.1.2.3:1",         "[::1]",
		"[::1]:8081", "[fe80::1]:8081", "localhost",          "LocalHost:8081",
		"localhost.", "a.localhost:80", "db1.example.com",    "DB1.example.com.:8081",
		"db1",        "db1:8081",       "status.example.org", "STATUS.example.org:443",
		"127.0.0.1:",
	};
	struct hosts h = make();
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_true(hosts_know(&h, slice_of(known[i])));
}

static void knows_no_other_host(void **state) {
	static const char *const unknown[] = {
		"",
		":8081",
		"evil.example",
		"evil.example:8081",
		"127.0.0.1.evil.example",
		"localhost.evil.example",
		"evillocalhost",
		"db1.evil.example",
		"x.status.example.org",
		"127.0.0.1@evil.example",
		"evil.example:127.0.0.1",
		"127.1",
		"[::1",
		"[]",
		"[::1]evil",
		"[::1]x:80",
		"[evil.example]",
		"[127.0.0.1]",
		"127.0.0.1:80:80",
		"localhost:x",
		"localhost, evil.example",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct hosts h = make();
	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_false(hosts_know(&h, slice_of(unknown[i])));
	h.own[0] = '\0';
	assert_false(hosts_know(&h, SLICE("")));
	assert_false(hosts_know(&h, SLICE("db1")));
}

static void any_host_is_known_if_the_operator_says_so(void **state) {
	struct hosts h = make();
	(void)state;
	h.any = true;
	assert_true(hosts_know(&h, SLICE("evil.example:8081")));
	assert_true(hosts_know(&h, SLICE("")));
}

static void keeps_as_many_names_as_there_is_room_for(void **state) {
	char name[HOST_MAX + 2];
	struct hosts h = make();
	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	hosts_add(&h, name);
	assert_int_equal(h.count, 2);
	name[HOST_MAX] = '\0';
	for (unsigned i = 0; i < 2 * HOSTS_MAX; i++)
		hosts_add(&h, name);
	assert_int_equal(h.count, HOSTS_MAX);
	assert_true(hosts_know(&h, slice_of(name)));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_addresses_localhost_its_own_name_and_those_added),
		cmocka_unit_test(knows_no_other_host),
		cmocka_unit_test(any_host_is_known_if_the_operator_says_so),
		cmocka_unit_test(keeps_as_many_names_as_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
