/* CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO. */
#include "world.h"

#define OK     "+OK\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define OFF    "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"
#define SWITCHES                                                                                                      \
	"-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it " \
	"with a different mode.\r\n"

static void test_refused_options_turn_nothing_on(void **state) {
	static const struct exchange table[] = {
		{"CLIENT TRACKING maybe", SYNTAX},
		{"CLIENT TRACKING ON bogus", SYNTAX},
		{"CLIENT TRACKING ON REDIRECT", SYNTAX},
		{"CLIENT TRACKING ON PREFIX", SYNTAX},
		{"CLIENT TRACKING ON REDIRECT 99", "-ERR The client ID you want redirect to does not exist\r\n"},
		{"CLIENT TRACKING ON REDIRECT 0", "-ERR The client ID you want redirect to does not exist\r\n"},
		{"CLIENT TRACKING ON REDIRECT x", "-ERR value is not an integer or out of range\r\n"},
		{"CLIENT TRACKING ON REDIRECT 1 REDIRECT 1",
		 "-ERR A client can only redirect to a single other client\r\n"},
		{"CLIENT TRACKING ON PREFIX a", "-ERR PREFIX option requires BCAST mode to be enabled\r\n"},
		{"CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n"},
		{"CLIENT TRACKING ON BCAST OPTOUT", "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n"},
		{"CLIENT TRACKING ON OPTIN OPTOUT", "-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n"},
		{"CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar PREFIX foobar",
		 "-ERR Prefix 'foo' overlaps with another provided prefix 'foobar'. Prefixes for a single client must "
		 "not overlap.\r\n"},
		{"CLIENT TRACKINGINFO", OFF},
		{"CLIENT GETREDIR", ":-1\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_a_mode_is_kept_until_tracking_is_off(void **state) {
	static const struct exchange table[] = {
		{"CLIENT TRACKING ON OPTIN NOLOOP", OK},
		{"CLIENT TRACKING ON OPTOUT", SWITCHES},
		{"CLIENT TRACKING ON BCAST",
		 "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
		 "re-enabling it with a different mode.\r\n"},
		{"CLIENT TRACKINGINFO", "*6\r\n$5\r\nflags\r\n*3\r\n$2\r\non\r\n$5\r\noptin\r\n$6\r\nnoloop\r\n$8\r\n"
					"redirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"},
		{"CLIENT GETREDIR", ":0\r\n"},
		{"CLIENT TRACKING OFF", OK},
		{"CLIENT TRACKINGINFO", OFF},
		{"CLIENT TRACKING ON OPTOUT", OK},
		{"CLIENT TRACKING ON OPTIN", SWITCHES},
		{"CLIENT TRACKING OFF", OK},
		{"CLIENT TRACKING ON BCAST PREFIX user: PREFIX acl:", OK},
		{"CLIENT TRACKING ON BCAST PREFIX user:1",
		 "-ERR Prefix 'user:1' overlaps with an existing prefix 'user:'. Prefixes for a single client must not "
		 "overlap.\r\n"},
		{"CLIENT TRACKINGINFO", "*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n"
					"$8\r\nprefixes\r\n*2\r\n$4\r\nacl:\r\n$5\r\nuser:\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_caching_is_for_its_mode(void **state) {
	static const struct exchange table[] = {
		{"CLIENT CACHING YES", "-ERR CLIENT CACHING can be called only when the client is in tracking mode "
				       "with OPTIN or OPTOUT mode enabled\r\n"},
		{"CLIENT TRACKING ON", OK},
		{"CLIENT CACHING YES",
		 "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n"},
		{"CLIENT CACHING NO",
		 "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n"},
		{"CLIENT CACHING maybe", SYNTAX},
		{"CLIENT TRACKING OFF", OK},
		{"CLIENT TRACKING ON OPTIN", OK},
		{"CLIENT CACHING NO",
		 "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n"},
		{"CLIENT CACHING YES", OK},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

static void test_redirected_invalidations_go_to_the_other_client(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	struct client *listener = join(w, c), *writer = join(w, c);
	char line[64], want[16];
	(void)state;
	ask(listener, "SUBSCRIBE __redis__:invalidate");
	const struct slice subscribe[] = {SLICE("SUBSCRIBE"), SLICE("__redis__:invalidate")};
	client_run(listener, subscribe, 2);
	snprintf(line, sizeof(line), "CLIENT TRACKING ON OPTIN REDIRECT %u", (unsigned)listener->session.id);
	expect(c, line, OK);
	snprintf(want, sizeof(want), ":%u\r\n", (unsigned)listener->session.id);
	expect(c, "CLIENT GETREDIR", want);
	expect(c, "MGET plain", "*1\r\n$-1\r\n");
	expect(c, "CLIENT CACHING YES", OK);
	expect(c, "MGET cached", "*1\r\n$-1\r\n");
	expect(writer, "MSET plain 1 cached 1", OK);
	assert_string_equal(pushed(listener),
			    "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$6\r\ncached\r\n");
	assert_string_equal(pushed(c), "");
	client_free(listener);
	client_free(writer);
	close_world(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_options_turn_nothing_on),
		cmocka_unit_test(test_a_mode_is_kept_until_tracking_is_off),
		cmocka_unit_test(test_caching_is_for_its_mode),
		cmocka_unit_test(test_redirected_invalidations_go_to_the_other_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
