#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "atomdb/daemon/config.h"
#include "atomdb/daemon/config_document.h"
#include "atomdb/util/error.h"
#include "daemon/config_live.h"
#include "daemon/config_option.h"
#include "daemon/config_rules.h"
#include "daemon/config_tenant.h"
#include "harness.h"

static struct config *good_in(const char *text, const char *credentials) {
	struct config *c = NULL;
	struct config_error error = {""};
	if (config_parse(text, strlen(text), "a.conf", credentials, &c, &error) != 0)
		fail_msg("%s", error.text);
	return c;
}

static struct config *good(const char *text) {
	return good_in(text, NULL);
}

static void bad_bytes(const char *text, size_t len, const char *credentials, const char *expected) {
	struct config *c = NULL;
	struct config_error error = {""};
	assert_int_equal(config_parse(text, len, "a.conf", credentials, &c, &error), ATOMDB_E_SYNTAX);
	assert_null(c);
	assert_string_equal(error.text, expected);
}

static void bad_in(const char *text, const char *credentials, const char *expected) {
	bad_bytes(text, strlen(text), credentials, expected);
}

static void bad(const char *text, const char *expected) {
	bad_bytes(text, strlen(text), NULL, expected);
}

static void defaults_are_those_of_the_design(void **state) {
	(void)state;
	struct config *c = NULL;
	struct config_error error;
	assert_int_equal(config_load(NULL, NULL, &c, &error), 0);
	assert_int_equal(c->resp_listen.count, 1);
	assert_string_equal(c->resp_listen.text[0], "127.0.0.1:8080");
	assert_int_equal(c->http_listen.count, 1);
	assert_string_equal(c->http_listen.text[0], "127.0.0.1:8081");
	assert_false(c->open_to_network);
	assert_int_equal(c->settings.max_clients, 10000);
	assert_int_equal(c->settings.auth_timeout, 10);
	assert_int_equal(c->settings.idle_timeout, 0);
	assert_int_equal(c->settings.tcp_keepalive, 300);
	assert_int_equal(c->settings.query_buffer, UINT64_C(1) << 30);
	assert_int_equal(c->settings.output_buffer, UINT64_C(256) << 20);
	assert_int_equal(c->settings.port, 8080);
	assert_string_equal(c->settings.anonymous, "");
	assert_int_equal(c->tenants_shown, 50);
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->max_memory, 0);
	assert_true(c->tenants_config.open);
	assert_int_equal(c->tenants_config.max_tenants, 10000);
	assert_int_equal(c->settings.auth_rate, 10);
	assert_int_equal(c->settings.new_tenants_per_second, 100);
	assert_string_equal(c->tenants_config.anonymous, "");
	assert_int_equal(c->tenants_config.tenant_count, 0);
	assert_int_equal(c->tenants_config.defaults.max_entries, 30);
	assert_int_equal(c->tenants_config.named.max_entries, 0);
	assert_int_equal(c->tenants_config.defaults.max_memory, UINT64_C(64) << 20);
	assert_int_equal(c->tenants_config.named.max_memory, UINT64_C(64) << 20);
	assert_int_equal(c->tenants_config.defaults.max_clients, 0);
	assert_int_equal(c->tenants_config.defaults.commands_per_second, 0);
	assert_int_equal(c->tenants_config.defaults.cpu_weight, 100);
	assert_int_equal(c->tenants_config.defaults.eviction, EVICTION_LRU);
	assert_int_equal(c->tenants_config.defaults.default_ttl, 0);
	assert_int_equal(c->tenants_config.defaults.max_ttl, 0);
	assert_false(c->admin.set);
	assert_int_equal(c->log_level, LOG_INFO);
	config_free(c);
}

/* The built-in limit on keys applies to tenants that clients open. A limit in the file, even 30, applies to all
 * tenants. */
static void max_entries_of_named_tenants(void **state) {
	static const struct {
		const char *text;
		uint64_t opened, named, own;
	} cases[] = {
		{"", 30, 0, 7},
		{"defaults: { max_memory = \"1M\"; };", 30, 0, 7},
		{"defaults: { max_entries = 30; };", 30, 30, 7},
		{"defaults: { max_entries = 0; };", 0, 0, 7},
		{"defaults: { max_entries = 8; };", 8, 8, 7},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		/* This holds even if the defaults come last. */
		snprintf(text, sizeof(text),
			 "tenants: ( { name = \"a\"; secret = \"x\"; }, { name = \"b\"; secret = \"y\"; max_entries = "
			 "7; } );"
			 "%s",
			 cases[i].text);
		struct config *c = good(text);
		assert_int_equal(c->tenants_config.defaults.max_entries, cases[i].opened);
		assert_int_equal(c->tenants_config.named.max_entries, cases[i].named);
		assert_int_equal(c->tenants_config.tenants[0].limits.max_entries, cases[i].named);
		assert_int_equal(c->tenants_config.tenants[1].limits.max_entries, cases[i].own);
		unsigned source = strstr(cases[i].text, "max_entries") != NULL ? LIMIT_IN_DEFAULTS : LIMIT_BUILT_IN;
		assert_int_equal(c->tenants_config.defaults.sources[KEY_LIMIT_ENTRIES], source);
		assert_int_equal(c->tenants_config.named.sources[KEY_LIMIT_ENTRIES], source);
		assert_int_equal(c->tenants_config.tenants[0].limits.sources[KEY_LIMIT_ENTRIES], source);
		assert_int_equal(c->tenants_config.tenants[1].limits.sources[KEY_LIMIT_ENTRIES], LIMIT_IN_TENANT);
		assert_int_equal(c->tenants_config.tenants[1].limits.sources[KEY_LIMIT_EVICTION], LIMIT_BUILT_IN);
		config_free(c);
	}
}

static void removed_is_a_list_of_names(void **state) {
	(void)state;
	struct config *c = good("tenancy = \"listed\"; removed = ( \"shop\", \"blog\", \"@opened\", \"@operator\" );");
	assert_int_equal(c->tenants_config.removed_count, 4);
	assert_true(config_removes(c, "shop") && config_removes(c, "blog") && config_removes(c, "@opened"));
	assert_false(config_removes(c, "sho") || config_removes(c, ""));
	struct config *copy = config_copy(c, 0);
	config_free(c);
	assert_true(config_removes(copy, "shop"));
	config_free(copy);
	config_free(good("removed = [];"));
	bad("removed = \"shop\";", "a.conf:1: removed must be a list of names such as ( \"shop\" )");
	bad("removed = (\n 1 );", "a.conf:2: removed must have names of tenants, or \"@opened\"");
	bad("removed = ( \"\" );", "a.conf:1: removed must have names of tenants, or \"@opened\"");
	bad("removed = ( \"@opened\" );", "a.conf:1: removed has \"@opened\", which needs tenancy = \"listed\"");
	bad("removed = ( \"a\" );\ntenants: ( { name = \"a\"; secret = \"x\"; } );",
	    "a.conf:1: removed names 'a', which is among the tenants");
	bad("anonymous = \"a\";\nremoved = ( \"a\" );", "a.conf:2: removed names 'a', which is among the tenants");
}

static void every_key_is_read(void **state) {
	(void)state;
	struct config *c =
		good("resp: { listen = ( \"[::1]:7000\", \"unix:/run/a.sock\", \"127.0.0.1:7001\" );\n"
		     "  max_clients = 1; auth_timeout = 2; auth_rate = 21; idle_timeout = 3; tcp_keepalive = 4;\n"
		     "  query_buffer = \"2M\"; output_buffer = 131072; open_to_network = true; };\n"
		     "http: { listen = [ ]; tenants_shown = 5; };\n"
		     "workers = 6; max_memory = \"7G\"; busy_limit = 23; huge_pages = false; tenancy = \"listed\"; "
		     "max_tenants = 8; new_tenants_per_second = 22;\n"
		     "anonymous = \"guest\";\n"
		     "tenants: ( { name = \"guest\"; },\n"
		     "  { name = \"shop\"; secret = \"abc\"; max_entries = 5000000000L; max_memory = \"9K\";\n"
		     "    max_clients = 10; commands_per_second = 11; cpu_weight = 20; cpu_limit = 0.25; eviction = "
		     "\"lru\";\n"
		     "    default_ttl = 12; max_ttl = 13; } );\n"
		     "defaults: { max_entries = 14; max_memory = \"15K\"; max_clients = 16;\n"
		     "  commands_per_second = 17; cpu_weight = 21; cpu_limit = 1; eviction = \"none\"; default_ttl = "
		     "18; max_ttl = 19; };\n"
		     "log: { level = \"debug\"; };\n");
	assert_int_equal(c->resp_listen.count, 3);
	assert_string_equal(c->resp_listen.text[1], "unix:/run/a.sock");
	assert_int_equal(c->settings.port, 7000);
	assert_int_equal(c->settings.max_clients, 1);
	assert_int_equal(c->settings.auth_rate, 21);
	assert_int_equal(c->settings.new_tenants_per_second, 22);
	assert_int_equal(c->settings.busy_limit, 23);
	assert_int_equal(c->settings.auth_timeout, 2);
	assert_int_equal(c->settings.idle_timeout, 3);
	assert_int_equal(c->settings.tcp_keepalive, 4);
	assert_int_equal(c->settings.query_buffer, 2 << 20);
	assert_int_equal(c->settings.output_buffer, 131072);
	assert_string_equal(c->settings.anonymous, "guest");
	assert_true(c->open_to_network);
	assert_int_equal(c->http_listen.count, 0);
	assert_int_equal(c->tenants_shown, 5);
	assert_int_equal(c->workers, 6);
	assert_false(c->huge_pages);
	assert_int_equal(c->max_memory, UINT64_C(7) << 30);
	assert_false(c->tenants_config.open);
	assert_int_equal(c->tenants_config.max_tenants, 8);
	assert_string_equal(c->tenants_config.anonymous, "guest");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->tenants_config.tenant_count, 2);
	const struct tenant_limits *guest = &c->tenants_config.tenants[0].limits,
				   *shop = &c->tenants_config.tenants[1].limits;
	assert_int_equal(c->tenants_config.tenants[0].secret_count, 0);
	/* Inherits from defaults that come later in the file. */
	assert_int_equal(guest->max_entries, 14);
	assert_int_equal(guest->max_memory, 15 << 10);
	assert_int_equal(guest->max_clients, 16);
	assert_int_equal(guest->commands_per_second, 17);
	assert_int_equal(guest->cpu_weight, 21);
	assert_int_equal(guest->cpu_limit, 1000);
	assert_int_equal(guest->eviction, EVICTION_NONE);
	assert_int_equal(guest->default_ttl, 18000);
	assert_int_equal(guest->max_ttl, 19000);
	assert_string_equal(c->tenants_config.tenants[1].name, "shop");
	assert_int_equal(shop->max_entries, 5000000000);
	assert_int_equal(shop->max_memory, 9 << 10);
	assert_int_equal(shop->max_clients, 10);
	assert_int_equal(shop->commands_per_second, 11);
	assert_int_equal(shop->cpu_weight, 20);
	assert_int_equal(shop->cpu_limit, 250);
	assert_int_equal(shop->eviction, EVICTION_LRU);
	assert_int_equal(shop->default_ttl, 12000);
	assert_int_equal(shop->max_ttl, 13000);
	config_free(c);
}

static void errors_name_the_line(void **state) {
	(void)state;
	bad("workers = 1;\nnonsense = 2;", "a.conf:2: unknown key 'nonsense'");
	bad("resp: {\n\n max_client = 1; };", "a.conf:3: unknown key 'resp.max_client'");
	bad("workers = ;", "a.conf:1: syntax error");
	bad("workers = 1;\nworkers = 2;", "a.conf:2: duplicate setting name");
	bad("\nworkers = \"2\";", "a.conf:2: workers must be a whole decimal number");
	bad("workers = 1.5;", "a.conf:1: workers must be a whole decimal number");
	bad("workers = 0x10;", "a.conf:1: workers must be a whole decimal number");
	bad("workers = -1;", "a.conf:1: workers must be from 0 to 256, not -1");
	bad("workers = 257;", "a.conf:1: workers must be from 0 to 256, not 257");
	bad("resp: { max_clients = 5000000000L; };", "a.conf:1: resp.max_clients must be from 0 to 10000000, not "
						     "5000000000");
	bad("\nmax_memory = 5000000000;", "a.conf:2: a number of 10 digits or more must end in L: 5000000000L");
	bad("workers = 1234567890123456789012345L;",
	    "a.conf:1: workers must be from 0 to 256, not 9223372036854775807");
	bad("max_memory = true;", "a.conf:1: max_memory must be a size such as \"64M\"");
	bad("max_memory = \"64X\";", "a.conf:1: max_memory must be a size such as \"64M\"");
	bad("max_memory = -1;", "a.conf:1: max_memory must be from 0 to 1125899906842624, not -1");
	bad("max_memory = \"99999T\";", "a.conf:1: max_memory must be from 0 to 1125899906842624 bytes");
	bad("max_memory = \"99999999999999999999\";", "a.conf:1: max_memory must be from 0 to 1125899906842624 bytes");
	bad("resp: { query_buffer = \"1K\"; };",
	    "a.conf:1: resp.query_buffer must be from 1048576 to 1125899906842624 bytes");
	bad("resp: { open_to_network = 1; };", "a.conf:1: resp.open_to_network must be true or false");
	bad("tenancy = \"shut\";", "a.conf:1: tenancy must be one of \"open\", \"listed\"");
	bad("tenancy = 1;", "a.conf:1: tenancy must be one of \"open\", \"listed\"");
	bad("defaults: {\n eviction = \"lfu\"; };", "a.conf:2: defaults.eviction must be one of \"lru\", \"none\"");
	bad("log: { level = \"loud\"; };",
	    "a.conf:1: log.level must be one of \"error\", \"warning\", \"notice\", \"info\", \"debug\"");
	bad("resp = 1;", "a.conf:1: resp must be a group: resp: { ... };");
	bad("anonymous = \"a b\";",
	    "a.conf:1: anonymous must be \"\" or a name of up to 64 letters, digits, '-', '_' and '.'");
	bad("tenancy = \"listed\";\nanonymous = \"guest\";",
	    "a.conf:2: anonymous names 'guest', which is not among the tenants");
	bad("admin: { secret_file = 1; };", "a.conf:1: admin.secret_file must be the name of a file, or \"\"");
}

static void addresses_are_checked(void **state) {
	(void)state;
	static const char *const wrong[] = {
		"8080", "localhost:8080", "127.0.0.1:65536", "127.0.0.1:", "[::1:8080",     "::1:8080",
		"[]:1", "1.2.3:80",       "unix:a.sock",     "unix:/",     "127.0.0.1: 80", ""};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[128];
		snprintf(text, sizeof(text), "http: { listen = [ \"%s\" ]; };", wrong[i]);
		bad(text, "a.conf:1: http.listen must have addresses such as \"127.0.0.1:8080\", \"[::1]:8080\" or "
			  "\"unix:/run/atomdb/atomdb.sock\"");
	}
	bad("resp: { listen = \"127.0.0.1:1\"; };",
	    "a.conf:1: resp.listen must be a list of addresses such as [ \"127.0.0.1:8080\" ]");
	bad("resp: { listen = [ ]; };", "a.conf:1: resp.listen must have from 1 to 16 addresses");
	bad("resp: { listen = [ 1 ]; };", "a.conf:1: resp.listen must have addresses such as \"127.0.0.1:8080\", "
					  "\"[::1]:8080\" or \"unix:/run/atomdb/atomdb.sock\"");
}

static void modes_and_groups_of_sockets_are_checked(void **state) {
	(void)state;
	static const char *const wrong[] = {"660",      "\"\"",   "\"0680\"",
					    "\"1777\"", "\"rw\"", "\"-1\"",
					    "0x1b0",    "true",   "\"77777777777777777777777\""};
	struct config *c = good("");
	assert_int_equal(c->resp_socket.mode, 0660);
	assert_int_equal(c->resp_socket.group, LISTENER_OWN_GROUP);
	assert_int_equal(c->http_socket.mode, 0660);
	config_free(c);
	c = good("resp: { socket_mode = \"600\"; socket_group = \"root\"; };\n"
		 "http: { socket_mode = \"0777\"; socket_group = \"12345\"; };");
	assert_int_equal(c->resp_socket.mode, 0600);
	assert_int_equal(c->resp_socket.group, 0);
	assert_int_equal(c->http_socket.mode, 0777);
	assert_int_equal(c->http_socket.group, 12345);
	config_free(c);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[128];
		snprintf(text, sizeof(text), "\nresp: { socket_mode = %s; };", wrong[i]);
		bad(text,
		    "a.conf:2: resp.socket_mode must be a string of octal digits up to \"0777\", such as \"0660\"");
	}
	bad("http: { socket_group = \"no-such-group\"; };",
	    "a.conf:1: http.socket_group: there is no group 'no-such-group'");
	bad("http: { socket_group = \"-1\"; };", "a.conf:1: http.socket_group: there is no group '-1'");
	bad("http: { socket_group = \"4294967295\"; };", "a.conf:1: http.socket_group: there is no group '4294967295'");
	bad("http: { socket_group = 0; };", "a.conf:1: http.socket_group must be the name of a group, or \"\"");
}

static void open_tenancy_stays_on_the_host(void **state) {
	(void)state;
	bad("resp: {\n listen = [ \"127.0.0.1:1\", \"0.0.0.0:1\" ]; };",
	    "a.conf:2: with tenancy \"open\" every client that reaches 0.0.0.0:1 can open a tenant: set tenancy to "
	    "\"listed\", or resp.open_to_network to true if this is intended");
	config_free(good("resp: { listen = [ \"0.0.0.0:1\" ]; open_to_network = true; };"));
	config_free(good("resp: { listen = [ \"[::]:1\" ]; }; tenancy = \"listed\";"));
	config_free(good("anonymous = \"guest\";")); /* opened with the defaults */
	struct config *c = good("");
	assert_true(config_allows_address(c, "127.9.9.9:1"));
	assert_true(config_allows_address(c, "unix:/run/x"));
	assert_false(config_allows_address(c, "[::]:1"));
	config_free(c);
}

static void secrets_become_digests(void **state) {
	(void)state;
	struct config *c = good("tenants: ( { name = \"a\"; secret = \"abc\"; },\n"
				"{ name = \"b\"; secret_sha256 = "
				"\"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AE\"; },\n"
				"{ name = \"c\"; secrets = ( { secret = \"x\"; }, { secret = \"y\"; } ); },\n"
				"{ name = \"d\"; secrets = [ \"p\", \"q\" ]; } );");
	struct secret abc, y, q;
	secret_digest(SLICE("abc"), &abc);
	secret_digest(SLICE("y"), &y);
	secret_digest(SLICE("q"), &q);
	static const uint8_t start[4] = {0xba, 0x78, 0x16, 0xbf};
	assert_memory_equal(abc.digest, start, 4);
	assert_int_equal(c->tenants_config.tenants[0].secret_count, 1);
	assert_memory_equal(&c->tenants_config.tenants[0].secrets[0], &abc, sizeof(abc));
	assert_memory_equal(c->tenants_config.tenants[1].secrets[0].digest, start, 4);
	assert_int_equal(c->tenants_config.tenants[1].secrets[0].digest[31], 0xae);
	assert_int_equal(c->tenants_config.tenants[2].secret_count, 2);
	assert_memory_equal(&c->tenants_config.tenants[2].secrets[1], &y, sizeof(y));
	assert_memory_equal(&c->tenants_config.tenants[3].secrets[1], &q, sizeof(q));
	config_free(c);
}

static void write_secret(const char *directory, const char *name, const char *bytes, size_t len) {
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void remove_secret(const char *directory, const char *name) {
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(unlink(path), 0);
}

static void secrets_come_from_files(void **state) {
	(void)state;
	char directory[] = "/tmp/atomdb-config-XXXXXX";
	assert_non_null(mkdtemp(directory));
	static char large[16386];
	memset(large, 'x', sizeof(large));
	write_secret(directory, "shop", "abc\n", 4);
	write_secret(directory, "two", "abc\n\n", 5);
	write_secret(directory, "empty", "\n", 1);
	write_secret(directory, "large", large, sizeof(large));
	const char *text = "tenants: ( { name = \"shop\"; secret_file = \"shop\"; },\n"
			   "{ name = \"two\"; secret_file = \"two\"; } );";
	struct secret abc, two;
	secret_digest(SLICE("abc"), &abc);
	secret_digest(SLICE("abc\n"), &two);
	struct config *c = good_in(text, directory);
	assert_memory_equal(&c->tenants_config.tenants[0].secrets[0], &abc, sizeof(abc));
	assert_memory_equal(&c->tenants_config.tenants[1].secrets[0], &two,
			    sizeof(two)); /* only one newline is removed */
	config_free(c);

	bad_in("\nadmin: { secret_file = \"none\"; };", directory,
	       "a.conf:2: secret_file \"none\": No such file or directory");
	bad_in("admin: { secret_file = \"empty\"; };", directory, "a.conf:1: secret_file \"empty\" is empty");
	bad_in("admin: { secret_file = \"large\"; };", directory,
	       "a.conf:1: secret_file \"large\" is longer than 16384 bytes");
	bad_in("admin: { secret_file = \"/dev/null\"; };", directory,
	       "a.conf:1: secret_file \"/dev/null\" is not a file");
	bad("admin: { secret_file = \"shop\"; };", "a.conf:1: secret_file \"shop\": a relative path needs "
						   "$CREDENTIALS_DIRECTORY (LoadCredential= in the unit)");
	text = "admin: { secret_file = \"shop\"; };\ntenants: ( { name = \"a\"; secret = \"abc\"; } );";
	bad_in(text, directory, "a.conf:2: this secret is also that of line 1");
	remove_secret(directory, "shop");
	remove_secret(directory, "two");
	remove_secret(directory, "empty");
	remove_secret(directory, "large");
	assert_int_equal(rmdir(directory), 0);
}

static void bad_tenants_are_refused(void **state) {
	(void)state;
	bad("tenants = 1;", "a.conf:1: tenants must be a list such as ( { name = \"shop\"; ... } )");
	bad("tenants = (\n1 );", "a.conf:2: tenants must have groups such as { name = \"shop\"; ... }");
	bad("tenants: (\n{ secret = \"a\"; } );", "a.conf:2: a tenant needs a name");
	bad("tenants: (\n{ name = \"a\"; } );", "a.conf:2: tenant 'a' has no secret, and is not the anonymous one");
	bad("tenants: ( { name = \"\"; } );",
	    "a.conf:1: name must be a string of 1 to 64 letters, digits, '-', '_' and '.'");
	bad("tenants: ( { name = \"a\";\nsecret = 1; } );", "a.conf:2: secret must be a string");
	bad("tenants: ( { name = \"a\"; secret = \"\"; } );", "a.conf:1: secret must have 1 to 16384 bytes");
	bad("tenants: ( { name = \"a\"; secret_sha256 = \"ba\"; } );",
	    "a.conf:1: secret_sha256 must be 64 hexadecimal digits");
	bad("tenants: ( { name = \"a\"; colour = 1; } );", "a.conf:1: a tenant has no key 'colour'");
	bad("tenants: ( { name = \"a\"; secret = \"x\"; max_entries = -1; } );",
	    "a.conf:1: max_entries must be from 0 to 1125899906842624, not -1");
	bad("tenants: ( { name = \"a\"; secrets = ( { secret = \"x\"; },\n{ secret = \"y\"; },\n{ secret = \"z\"; } ); "
	    "} );",
	    "a.conf:3: a tenant has at most 2 secrets");
	bad("tenants: ( { name = \"a\"; secrets = ( 1 ); } );",
	    "a.conf:1: secrets must have strings, or groups of one secret, secret_sha256 or secret_file each");
	bad("tenants: ( { name = \"a\"; secrets = \"x\"; } );",
	    "a.conf:1: secrets must be a list such as ( { secret_file = \"shop\"; } )");
	bad("tenants: (\n{ name = \"a\"; secret = \"x\"; },\n{ name = \"b\"; secret = \"y\"; },\n"
	    "{ name = \"a\"; secret = \"z\"; } );",
	    "a.conf:4: this name is also that of line 2");
	bad("tenants: (\n{ name = \"a\"; secret = \"same\"; },\n{ name = \"b\"; secret = \"same\"; } );",
	    "a.conf:3: this secret is also that of line 2");
}

static void hostile_text_is_refused(void **state) {
	(void)state;
	bad_bytes("workers\0 = 1;", 13, NULL, "a.conf:1: a NUL byte is not text");
	bad("\n  @include \"/etc/passwd\"", "a.conf:2: @include is not supported");
	bad("\na = \"x\n\n\\\"", "a.conf:2: a string is not closed");
	bad("\n/* x\n\n*", "a.conf:2: a comment is not closed");
	bad("a = ((((((((()))))))));", "a.conf:1: nested too deeply");
	/* Brackets in strings and comments do not nest. */
	config_free(good("/* (((((((((( */ // ((((((((((\n# ((((((((((\nworkers = 1;"));
	static char large[CONFIG_FILE_MAX + 1];
	memset(large, '\n', sizeof(large));
	bad_bytes(large, sizeof(large), NULL, "a.conf:1: longer than 16 MiB");
}

static void collect(void *context, const char *key) {
	strcat(context, key);
	strcat(context, " ");
}

static void changes_that_need_a_restart_are_told(void **state) {
	(void)state;
	struct config *a = good("");
	struct config *b = good("max_memory = 1; defaults: { max_entries = 1; }; resp: { max_clients = 1; };");
	struct config *c = good("workers = 3; resp: { listen = [ \"127.0.0.1:8079\" ]; }; http: { listen = [ ]; };");
	char keys[256] = "";
	assert_int_equal(config_needs_restart(a, b, collect, keys), 0);
	assert_int_equal(config_needs_restart(a, c, collect, keys), 3);
	assert_string_equal(keys, "resp.listen http.listen workers ");
	struct config *e = good("resp: { socket_mode = \"0600\"; }; http: { socket_group = \"1\"; };");
	keys[0] = '\0';
	assert_int_equal(config_needs_restart(a, e, collect, keys), 2);
	assert_string_equal(keys, "resp.socket_mode http.socket_group ");
	config_free(e);
	config_free(a);
	config_free(b);
	config_free(c);
}

/* conf/atomdb.conf equals the output of `atomdb --print-config`. */
static void the_shipped_file_is_in_step(void **state) {
	(void)state;
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);
	assert_non_null(stream);
	config_document(stream, false);
	fclose(stream);
	static const char here[] = "tests/unit/daemon/test_config.c";
	char path[4096];
	snprintf(path, sizeof(path), "%.*sconf/atomdb.conf", (int)(strlen(__FILE__) - strlen(here)), __FILE__);
	FILE *shipped = fopen(path, "r");
	assert_non_null(shipped);
	char *found = calloc(1, len + 2);
	assert_non_null(found);
	size_t got = fread(found, 1, len + 1, shipped);
	fclose(shipped);
	assert_int_equal(got, len);
	assert_string_equal(found, text);
	/* With all keys commented out, it equals the built-in defaults. */
	struct config *c = NULL;
	struct config_error error;
	assert_int_equal(config_load(path, NULL, &c, &error), 0);
	assert_int_equal(c->tenants_config.defaults.max_entries, 30);
	config_free(c);
	free(found);
	free(text);
}

static void a_missing_file_is_told(void **state) {
	(void)state;
	struct config *c = NULL;
	struct config_error error;
	assert_int_equal(config_load("/nonexistent/a.conf", NULL, &c, &error), -ENOENT);
	assert_string_equal(error.text, "/nonexistent/a.conf: No such file or directory");
	assert_int_equal(config_load("/tmp", NULL, &c, &error), -EISDIR);
	assert_null(c);
	config_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(max_entries_of_named_tenants),
		cmocka_unit_test(removed_is_a_list_of_names),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(addresses_are_checked),
		cmocka_unit_test(modes_and_groups_of_sockets_are_checked),
		cmocka_unit_test(open_tenancy_stays_on_the_host),
		cmocka_unit_test(secrets_become_digests),
		cmocka_unit_test(secrets_come_from_files),
		cmocka_unit_test(bad_tenants_are_refused),
		cmocka_unit_test(hostile_text_is_refused),
		cmocka_unit_test(changes_that_need_a_restart_are_told),
		cmocka_unit_test(the_shipped_file_is_in_step),
		cmocka_unit_test(a_missing_file_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
