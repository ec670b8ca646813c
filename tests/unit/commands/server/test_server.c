/* TIME, ROLE, LOLWUT and WAIT. */
#include "world.h"

#define INTEGER "-ERR value is not an integer or out of range\r\n"

static void test_time_is_that_of_the_machine(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	long long seconds, micros;
	(void)state;
	int64_t before = clock_realtime_us();
	assert_int_equal(sscanf(ask(c, "TIME"), "*2\r\n$%*d\r\n%lld\r\n$%*d\r\n%lld\r\n", &seconds, &micros), 2);
	int64_t now = (int64_t)seconds * 1000000 + micros;
	assert_true(now >= before && now <= clock_realtime_us());
	close_world(w, c);
}

static void test_a_master_without_replicas(void **state) {
	static const struct exchange table[] = {
		{"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"},
		{"LOLWUT", "$18\r\nRedis ver. 7.0.15\n\r\n"},
		{"LOLWUT VERSION 5", "$18\r\nRedis ver. 7.0.15\n\r\n"},
		{"LOLWUT VERSION x", INTEGER},
		{"WAIT 0 0", ":0\r\n"},
		{"WAIT 1 1", ":0\r\n"},
		{"WAIT x 0", INTEGER},
		{"WAIT 0 -1", "-ERR timeout is negative\r\n"},
		{"WAIT 0 x", "-ERR timeout is not an integer or out of range\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_is_that_of_the_machine),
		cmocka_unit_test(test_a_master_without_replicas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
