/* INFO. */
#include "world.h"

#define OK "+OK\r\n"

static void test_sections_and_their_values(void **state) {
	const struct tenant_limits limits = {.max_memory = (uint64_t)1536 << 10, .max_entries = 30};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	(void)state;
	ask(c, "MSET a 1 b 2");
	ask(c, "SET c 3 EX 100");
	ask(c, "GET a");
	ask(c, "GET none");
	world_pass(w, 90061000);
	ask(c, "SELECT 2");
	ask(c, "SET d 4 EX 5");
	const char *info = ask(c, "INFO");
	static const char *const lines[] = {
		"# Server\r\nredis_version:7.0.15\r\natomdb_version:",
		"\r\nuptime_in_seconds:90061\r\n",
		"\r\nuptime_in_days:1\r\n",
		"\r\ntcp_port:8080\r\n",
		"\r\n\r\n# Clients\r\nconnected_clients:1\r\n",
		"\r\nmaxclients:10000\r\n",
		"\r\nmaxmemory:1572864\r\nmaxmemory_human:1.50M\r\nmaxmemory_policy:allkeys-lru\r\n",
		"\r\nloading:0\r\n",
		"\r\nkeyspace_hits:1\r\nkeyspace_misses:1\r\n",
		"\r\nexpired_keys:1\r\n",
		"\r\nrole:master\r\n",
		"\r\ncluster_enabled:0\r\n",
		"\r\n\r\n# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\ndb2:keys=1,expires=1,avg_ttl=5000\r\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (strstr(info, lines[i]) == NULL)
			fail_msg("INFO lacks \"%s\": %s", lines[i], info);
	}
	/* Times to live whose sum exceeds 64 bits. */
	ask(c, "SELECT 3");
	ask(c, "SET e 5 PXAT 9223372036854775807");
	ask(c, "SET f 6 PXAT 9223372036854775807");
	expect_part(c, "INFO keyspace", "db3:keys=2,expires=2,avg_ttl=922337");
	ask(c, "SELECT 2");
	expect(c, "INFO none", "$0\r\n\r\n");
	expect(c, "INFO cluster modules", "$43\r\n# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
	expect(c, "INFO CLUSTER cluster", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
	expect_part(c, "INFO everything", "# Keyspace");
	expect_part(c, "INFO none all", "# Server");
	ask(c, "HELLO 3");
	expect(c, "INFO cluster", "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
	close_world(w, c);
}

static void test_counters_of_commands_are_shown_if_asked_for(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	expect(c, "SET k v", OK);
	ask(c, "INCR k");
	ask(c, "GET k");
	ask(c, "GET k");
	ask(c, "CONFIG GET none");
	assert_null(strstr(ask(c, "INFO"), "cmdstat"));
	expect_part(c, "INFO commandstats", "\r\ncmdstat_get:calls=2,usec=");
	expect_part(c, "INFO commandstats", "\r\ncmdstat_config|get:calls=1,usec=");
	expect_part(c, "INFO all", ",rejected_calls=0,failed_calls=1\r\n");
	assert_null(strstr(ask(c, "INFO commandstats"), "cmdstat_del:"));
	expect_part(c, "INFO errorstats", "\r\nerrorstat_ERR:count=1\r\n");
	close_world(w, c);
}

static void test_clients_that_wait_and_subscribe_are_counted(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *other = join(w, c);
	(void)state;
	ask(other, "SUBSCRIBE a b");
	ask(other, "PSUBSCRIBE a");
	expect_part(c, "INFO stats", "\r\npubsub_channels:2\r\npubsub_patterns:1\r\npubsubshard_channels:0\r\n");
	ask(other, "RESET");
	expect(other, "AUTH secret", OK);
	expect(other, "CLIENT TRACKING ON", OK);
	ask(other, "GET k");
	expect_part(c, "INFO stats", "\r\ntracking_total_keys:1\r\ntracking_total_items:1\r\n");
	expect(c, "CLIENT PAUSE 100 WRITE", OK);
	ask(other, "SET k v");
	expect_part(c, "INFO clients", "\r\nblocked_clients:1\r\ntracking_clients:1\r\n");
	world_pass(w, 100);
	expect(other, "SET k v", OK);
	expect_part(c, "INFO clients", "\r\nblocked_clients:0\r\n");
	client_free(other);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections_and_their_values),
		cmocka_unit_test(test_counters_of_commands_are_shown_if_asked_for),
		cmocka_unit_test(test_clients_that_wait_and_subscribe_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
