/* MEMORY. */
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK      "+OK\r\n"
#define SYNTAX  "-ERR syntax error\r\n"
#define INTEGER "-ERR value is not an integer or out of range\r\n"

static long long field(const char *stats, const char *name) {
	const char *at = strstr(stats, name);
	assert_non_null(at);
	return atoll(strchr(at, ':') + 1);
}

static void test_usage_is_the_memory_of_one_key(void **state) {
	static const struct exchange table[] = {
		{"MEMORY USAGE none", "$-1\r\n"},
		{"MEMORY USAGE k SAMPLES", SYNTAX},
		{"MEMORY USAGE k SAMPLES x", INTEGER},
		{"MEMORY USAGE k SAMPLES -1", SYNTAX},
		{"MEMORY USAGE k bogus 1", SYNTAX},
		{"MEMORY USAGE none SAMPLES 0 samples 5", "$-1\r\n"},
		{"MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command\r\n"},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	EXPECT_ALL(c, table);
	expect(c, "SET k v", OK);
	long long small = atoll(ask(c, "MEMORY USAGE k") + 1);
	assert_in_range(small, 2, 64);
	expect(c, "SETRANGE k 9999 x", ":10000\r\n");
	assert_in_range(atoll(ask(c, "MEMORY USAGE k") + 1), 10001, 12000);
	close_world(w, c);
}

static void test_stats_add_up_to_the_total(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "MSET a 1 b 2 c 3", OK);
	expect(c, "SELECT 3", OK);
	expect(c, "SETRANGE k 9999 x", ":10000\r\n");
	const char *stats = ask(c, "MEMORY STATS");
	assert_non_null(strstr(stats, "\r\ndb.0\r\n"));
	assert_non_null(strstr(stats, "\r\ndb.3\r\n"));
	assert_null(strstr(stats, "\r\ndb.1\r\n"));
	long long total = field(stats, "total.allocated"), dataset = field(stats, "dataset.bytes");
	assert_int_equal(total, counter_get(&c->session.tenant->counters.bytes));
	assert_int_equal(field(stats, "overhead.total"), total - dataset);
	assert_int_equal(field(stats, "keys.count"), 4);
	assert_int_equal(field(stats, "keys.bytes-per-key"), total / 4);
	assert_true(dataset > 10000 && field(stats, "peak.allocated") >= total);
	expect_part(c, "MEMORY MALLOC-STATS", "db0: ");
	expect_part(c, "MEMORY MALLOC-STATS", "db3: ");
	expect(c, "MEMORY PURGE", OK);
	close_world(w, c);
}

static void test_doctor_compares_with_the_quota(void **state) {
	static const struct {
		struct tenant_limits limits;
		const char *value, *words;
	} table[] = {
		{{.max_memory = 0}, "SETRANGE k 9999 x", " and has no limit of its own.\n"},
		{{.max_memory = 1 << 20}, "SETRANGE k 9999 x", " of 1.00M: there is room.\n"},
		{{.max_memory = 1 << 20, .eviction = EVICTION_LRU},
		 "SETRANGE k 964999 x",
		 "it is nearly full, and then its least recently used keys are evicted.\n"},
		{{.max_memory = 1 << 20, .eviction = EVICTION_NONE},
		 "SETRANGE k 964999 x",
		 "it is nearly full, and then its writes are refused.\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client *c;
		struct world *w = open_world(&table[i].limits, &c);
		assert_int_equal(ask(c, table[i].value)[0], ':');
		expect_part(c, "MEMORY DOCTOR", table[i].words);
		assert_null(strstr(c->text, "All tenants"));
		close_world(w, c);
	}
	struct client *operator;
	struct world *w = operator_world(&operator);
	expect_part(operator, "MEMORY DOCTOR", "All tenants have ");
	close_world(w, operator);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage_is_the_memory_of_one_key),
		cmocka_unit_test(test_stats_add_up_to_the_total),
		cmocka_unit_test(test_doctor_compares_with_the_quota),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
