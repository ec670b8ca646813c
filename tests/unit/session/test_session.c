/* The tenant of a session: authentication, limits, and batches of commands. */
#include <sys/stat.h>

#include "atomdb/store/compact.h"
#include "atomdb/store/registry_reload.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/tenant.h"
#include "world.h"

#define OK     "+OK\r\n"
#define NOAUTH "-NOAUTH Authentication required.\r\n"
#define WRONG  "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

static struct tenant_config listed(const char *name, const char *secret) {
	struct tenant_config t = {.name = ""};
	snprintf(t.name, sizeof(t.name), "%s", name);
	if (secret != NULL) {
		secret_digest(slice_of(secret), &t.secrets[0]);
		t.secret_count = 1;
	}
	return t;
}

/* Authenticates on the worker of the tenant, as the workers do: moves the session and runs the command again. */
static const char *ask_anywhere(struct world *w, struct client *c, const char *line) {
	const char *reply = ask(c, line);
	if (c->outcome != OUTCOME_MIGRATE)
		return reply;
	assert_int_equal(c->out.len, 0);
	assert_null(c->session.tenant);
	assert_int_not_equal(c->session.home, c->session.env->worker);
	c->session.env = &w->env[c->session.home];
	reply = ask(c, line);
	assert_int_not_equal(c->outcome, OUTCOME_MIGRATE);
	return reply;
}

/* Calls a command with the arguments that its arity requires; its name has `words` words. */
static const char *call(struct client *c, const struct command *row, int words) {
	char line[128];
	snprintf(line, sizeof(line), "%s", row->name);
	char *bar = strchr(line, '|');
	if (bar != NULL)
		*bar = ' ';
	for (int i = words; i < abs(row->arity); i++)
		strncat(line, " x", sizeof(line) - strlen(line) - 1);
	return ask(c, line);
}

static bool exempt(const char *name) {
	static const char *const allowed[] = {"auth", "hello", "quit", "reset"};
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (strcmp(name, allowed[i]) == 0)
			return true;
	}
	return false;
}

static void test_nothing_without_auth(void **state) {
	const struct tenants_config tenants_config = {.open = true};
	struct world *w = world_new(&tenants_config);
	struct client *c = client_new(w, 0);
	(void)state;
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		const struct command *row = &command_set.rows[i];
		size_t count;
		const struct command *sub = command_subcommands(&command_set, row, &count);
		assert_int_equal(exempt(row->name), (row->flags & CMD_NO_AUTH) != 0);
		for (size_t k = 0; k < count; k++)
			assert_string_equal(call(c, &sub[k], 2), NOAUTH);
		if (count == 0 && !exempt(row->name) && i != COMMAND_EXEC)
			assert_string_equal(call(c, row, 1), NOAUTH);
	}
	expect(c, "EXEC", "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n");
	expect(c, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
	expect(c, "NONE", "-ERR unknown command 'NONE', with args beginning with: \r\n");
	expect_part(c, "HELLO", "-NOAUTH HELLO must be called with the client already authenticated");
	expect_part(c, "HELLO 3", "-NOAUTH HELLO");
	expect(c, "RESET", "+RESET\r\n");
	expect(c, "QUIT", OK);
	assert_int_equal(c->outcome, OUTCOME_CLOSE);
	assert_int_equal(registry_count(w->registry), 0);
	close_world(w, c);
}

static void test_tenants_are_apart(void **state) {
	const struct tenants_config tenants_config = {.open = true};
	struct world *w = world_new(&tenants_config);
	struct client *a = client_new(w, 0), *b = client_new(w, 0), *a2 = client_new(w, 0);
	(void)state;
	assert_string_equal(ask_anywhere(w, a, "AUTH alpha"), OK);
	assert_string_equal(ask_anywhere(w, b, "AUTH beta"), OK);
	assert_string_equal(ask_anywhere(w, a2, "AUTH default alpha"), OK);
	assert_ptr_equal(a->session.tenant, a2->session.tenant);
	assert_ptr_not_equal(a->session.tenant, b->session.tenant);
	expect(a, "SET k alpha", OK);
	expect(b, "GET k", "$-1\r\n");
	expect(b, "KEYS *", "*0\r\n");
	expect(b, "FLUSHALL", OK);
	expect(a2, "GET k", "$5\r\nalpha\r\n");
	expect_part(a, "INFO keyspace", "db0:keys=1,expires=0,avg_ttl=0\r\n");
	assert_null(strstr(ask(b, "INFO keyspace"), "db0"));
	/* This includes the lists of clients. */
	assert_non_null(strstr(ask(a, "CLIENT LIST"), "id=2 "));
	assert_null(strstr(ask(a, "CLIENT LIST"), "addr=127.0.0.1:40002 "));
	assert_null(strstr(ask(b, "CLIENT LIST"), "id=2 "));
	expect(b, "CLIENT ID", ":1\r\n");
	client_free(b);
	client_free(a2);
	close_world(w, a);
}

static void test_listed_tenants(void **state) {
	const struct tenant_config tenants[] = {listed("shop", "s1"), listed("blog", "s2")};
	const struct tenants_config tenants_config = {.open = false, .tenants = tenants, .tenant_count = 2};
	struct world *w = world_new(&tenants_config);
	struct client *c = client_new(w, 0);
	(void)state;
	expect(c, "AUTH wrong", WRONG);
	assert_int_equal(w->failures, 1);
	assert_int_equal(counter_get(&w->env[0].auth_failures), 1);
	expect(c, "AUTH shop s2", WRONG);
	expect(c, "HELLO 3 AUTH shop s2", WRONG);
	assert_int_equal(c->session.protocol, 2);
	expect(c, "AUTH a b c", "-ERR syntax error\r\n");
	expect(c, "AUTH", "-ERR wrong number of arguments for 'auth' command\r\n");
	expect(c, "GET k", NOAUTH);
	assert_string_equal(ask_anywhere(w, c, "AUTH shop s1"), OK);
	expect(c, "SET k v", OK);
	/* A wrong secret does not detach the session. */
	expect(c, "AUTH wrong", WRONG);
	expect(c, "GET k", "$1\r\nv\r\n");
	/* AUTH to the same tenant changes nothing, to another one it does. */
	expect(c, "SELECT 3", OK);
	assert_string_equal(ask_anywhere(w, c, "AUTH s1"), OK);
	assert_int_equal(c->session.database, 3);
	assert_string_equal(ask_anywhere(w, c, "AUTH s2"), OK);
	assert_int_equal(c->session.database, 0);
	expect(c, "GET k", "$-1\r\n");
	close_world(w, c);
}

static void test_moves_to_the_tenants_worker(void **state) {
	enum { TENANTS = 8 };
	struct tenant_config tenants[TENANTS];
	unsigned moved = 0;
	(void)state;
	for (unsigned i = 0; i < TENANTS; i++) {
		char name[8], secret[8];
		snprintf(name, sizeof(name), "t%u", i);
		snprintf(secret, sizeof(secret), "s%u", i);
		tenants[i] = listed(name, secret);
	}
	const struct tenants_config tenants_config = {.open = false, .tenants = tenants, .tenant_count = TENANTS};
	struct world *w = world_new(&tenants_config);
	for (unsigned i = 0; i < TENANTS; i++) {
		struct client *c = client_new(w, 0);
		char line[64];
		snprintf(line, sizeof(line), "HELLO 3 SETNAME me AUTH t%u s%u", i, i);
		assert_int_equal(ask_anywhere(w, c, line)[0], '%');
		assert_string_equal(c->session.name, "me");
		moved += c->session.env->worker == 1;
		assert_int_equal(shard_worker(c->session.tenant->shard), c->session.env->worker);
		client_free(c);
	}
	assert_in_range(moved, 1, TENANTS - 1);
	world_free(w);
}

/* A tenant that the configuration no longer has accepts no client, and ends with its last client. */
static void test_removed_tenant(void **state) {
	const struct tenant_config tenants[] = {listed("shop", "s1"), listed("blog", "s2")};
	struct tenants_config tenants_config = {.open = false, .tenants = tenants, .tenant_count = 2};
	struct world *w = world_new(&tenants_config);
	struct client *a = client_new(w, 0), *b = client_new(w, 0), *late = client_new(w, 0);
	(void)state;
	assert_string_equal(ask_anywhere(w, a, "AUTH s2"), OK);
	assert_string_equal(ask_anywhere(w, b, "AUTH s2"), OK);
	expect(a, "SET k v", OK);
	static const char removed[][TENANT_NAME_MAX + 1] = {"blog"};
	tenants_config.tenant_count = 1;
	tenants_config.removed = removed;
	tenants_config.removed_count = 1;
	assert_int_equal(registry_reload(w->registry, &tenants_config, NULL), 0);
	assert_true(a->session.tenant->clients.removed);
	assert_string_equal(ask_anywhere(w, late, "AUTH s2"), WRONG);
	size_t before = registry_count(w->registry);
	session_detach(&a->session);
	assert_int_equal(w->left, 1);
	session_detach(&b->session);
	assert_int_equal(w->left, 2);
	session_detach(&b->session);
	assert_int_equal(w->left, 2);
	assert_true(registry_count(w->registry) <= before);
	expect(b, "GET k", NOAUTH);
	while (shard_work(w->shards[0], 64) || shard_work(w->shards[1], 64))
		;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(counter_get(&shard_counters(w->shards[i])->keys), 0);
	client_free(a);
	client_free(late);
	close_world(w, b);
}

static void test_anonymous(void **state) {
	const struct tenant_config tenants[] = {listed("guest", NULL), listed("shop", "s1")};
	const struct tenants_config tenants_config = {.anonymous = "guest", .tenants = tenants, .tenant_count = 2};
	struct world *w = world_new(&tenants_config);
	struct client *c = client_new(w, 0), *d = client_new(w, 1);
	(void)state;
	assert_string_equal(ask_anywhere(w, c, "SET k guest"), OK);
	assert_string_equal(ask_anywhere(w, d, "GET k"), "$5\r\nguest\r\n");
	assert_string_equal(ask_anywhere(w, d, "AUTH shop s1"), OK);
	expect(d, "GET k", "$-1\r\n");
	expect(d, "RESET", "+RESET\r\n");
	assert_string_equal(ask_anywhere(w, d, "GET k"), "$5\r\nguest\r\n");
	client_free(d);
	close_world(w, c);
}

static void test_max_clients(void **state) {
	const struct tenants_config tenants_config = {.open = true, .defaults = {.max_clients = 2}};
	struct world *w = world_new(&tenants_config);
	struct client *c[3];
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		c[i] = client_new(w, 0);
	assert_string_equal(ask_anywhere(w, c[0], "AUTH s"), OK);
	assert_string_equal(ask_anywhere(w, c[1], "AUTH s"), OK);
	assert_string_equal(ask_anywhere(w, c[2], "AUTH s"), "-ERR max number of clients reached\r\n");
	assert_int_equal(c[2]->outcome, OUTCOME_CLOSE);
	assert_null(c[2]->session.tenant);
	assert_int_equal(counter_get(&c[0]->session.tenant->counters.clients), 2);
	client_free(c[1]);
	assert_string_equal(ask_anywhere(w, c[2], "AUTH s"), OK);
	client_free(c[2]);
	close_world(w, c[0]);
}

static void test_max_tenants(void **state) {
	const struct tenants_config tenants_config = {.open = true, .max_tenants = 1};
	struct world *w = world_new(&tenants_config);
	struct client *a = client_new(w, 0), *b = client_new(w, 0);
	(void)state;
	assert_string_equal(ask_anywhere(w, a, "AUTH one"), OK);
	assert_string_equal(ask_anywhere(w, b, "AUTH two"), "-ERR max number of tenants reached\r\n");
	/* An opened tenant without keys ends with its last client. */
	expect(a, "RESET", "+RESET\r\n");
	assert_int_equal(registry_count(w->registry), 0);
	assert_string_equal(ask_anywhere(w, b, "AUTH two"), OK);
	expect(b, "SET k v", OK);
	expect(b, "RESET", "+RESET\r\n");
	assert_int_equal(registry_count(w->registry), 1);
	client_free(b);
	close_world(w, a);
}

static void test_rate(void **state) {
	const struct tenant_limits limits = {.commands_per_second = 5};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	unsigned ran = 0;
	(void)state;
	world_pass(w, 10000);
	for (unsigned i = 0; i < 20; i++)
		ran += strcmp(ask(c, "PING"), "+PONG\r\n") == 0;
	assert_int_equal(ran, 5);
	expect(c, "GET k", "-ERR commands_per_second of this tenant exceeded\r\n");
	assert_int_equal(counter_get(&c->session.tenant->counters.throttled), 16);
	assert_int_equal(counter_get(&c->session.env->commands[COMMAND_PING].rejected), 15);
	assert_int_equal(ask(c, "HELLO")[0], '*');
	world_pass(w, 1000);
	expect(c, "GET k", "$-1\r\n");
	close_world(w, c);
}

/* A command that waits for the removal of due keys has no reply yet, and costs one token in total. */
static void test_waiting_costs_once(void **state) {
	const struct tenant_limits limits = {.commands_per_second = 2};
	const struct slice argv[] = {SLICE("DBSIZE")};
	struct client *c;
	struct world *w = open_world(&limits, &c);
	uint64_t ticks = clock_ticks();
	(void)state;
	expect(c, "SET k v PX 10", OK);
	world_pass(w, 5000);
	const uint64_t commands = counter_get(&c->session.tenant->counters.commands);
	c->out.len = 0;
	for (unsigned i = 0; i < 5; i++) {
		struct request r = {.argv = argv, .argc = 1};
		dispatch_prepare(&c->session, &r, 1);
		assert_int_equal(dispatch_run(&c->session, &r, &ticks), OUTCOME_RETRY);
		assert_int_equal(c->out.len, 0);
	}
	assert_int_equal(counter_get(&c->session.tenant->counters.commands), commands);
	assert_int_equal(command_calls(&c->session.env->commands[COMMAND_DBSIZE]), 0);
	expect(c, "DBSIZE", ":0\r\n");
	expect(c, "DBSIZE", ":0\r\n");
	expect(c, "DBSIZE", "-ERR commands_per_second of this tenant exceeded\r\n");
	close_world(w, c);
}

/* A batch is prepared before it runs: SELECT and AUTH in it must affect the commands behind them. */
static void test_a_batch_is_run_in_order(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	const struct slice set0[] = {SLICE("SET"), SLICE("k"), SLICE("zero")};
	const struct slice select1[] = {SLICE("SELECT"), SLICE("1")};
	const struct slice set1[] = {SLICE("SET"), SLICE("k"), SLICE("one")};
	const struct slice get[] = {SLICE("GET"), SLICE("k")};
	const struct slice reset[] = {SLICE("RESET")};
	struct request batch[] = {
		{.argv = set0, .argc = 3}, {.argv = select1, .argc = 2}, {.argv = set1, .argc = 3},
		{.argv = get, .argc = 2},  {.argv = reset, .argc = 1},   {.argv = get, .argc = 2},
	};
	const unsigned count = sizeof(batch) / sizeof(batch[0]);
	uint64_t ticks = clock_ticks();
	(void)state;
	c->out.len = 0;
	dispatch_prepare(&c->session, batch, count);
	dispatch_fetch_entries(&c->session, batch, count);
	dispatch_fetch_links(&c->session, batch, count);
	for (unsigned i = 0; i < count; i++) {
		dispatch_fetch_ahead(&c->session, &batch[i], count - i);
		assert_int_equal(dispatch_run(&c->session, &batch[i], &ticks), OUTCOME_DONE);
	}
	const char want[] = "+OK\r\n+OK\r\n+OK\r\n$3\r\none\r\n+RESET\r\n" NOAUTH;
	assert_int_equal(c->out.len, sizeof(want) - 1);
	assert_memory_equal(c->out.data, want, sizeof(want) - 1);
	close_world(w, c);
}

static blkcnt_t blocks_of(const struct shard *s) {
	struct stat file;
	assert_int_equal(fstat(shard_fd(s), &file), 0);
	return file.st_blocks;
}

/* Memory that was prefetched for the commands behind one that frees everything must not be read, which would map its
 * pages again. */
static void test_a_long_batch_reads_no_freed_memory(void **state) {
	enum { KEYS = 20000, GETS = 60 };
	static const struct {
		const char *first, *reply, *replies;
	} cases[] = {
		{"FLUSHALL", OK, "$-1\r\n"}, {"RESET", "+RESET\r\n", NOAUTH}, {"PING", "+PONG\r\n", "$1\r\nv\r\n"}};
	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		struct client *c;
		struct world *w = open_world(NULL, &c);
		struct shard *shard = w->shards[c->session.env->worker];
		char names[GETS][24], line[64];
		struct slice argv[1 + GETS][2] = {{slice_of(cases[n].first)}};
		struct request batch[1 + GETS] = {{.argv = argv[0], .argc = 1}};
		for (unsigned i = 0; i < KEYS; i++) {
			snprintf(line, sizeof(line), "SET key:%u v", i);
			expect(c, line, OK);
		}
		for (unsigned i = 0; i < GETS; i++) {
			snprintf(names[i], sizeof(names[i]), "key:%u", i * 313);
			argv[1 + i][0] = SLICE("GET");
			argv[1 + i][1] = slice_of(names[i]);
			batch[1 + i] = (struct request){.argv = argv[1 + i], .argc = 2};
		}
		uint64_t ticks = clock_ticks();
		blkcnt_t before = 0;
		c->out.len = 0;
		dispatch_prepare(&c->session, batch, 1 + GETS);
		dispatch_fetch_entries(&c->session, batch, 1 + GETS);
		dispatch_fetch_links(&c->session, batch, 1 + GETS);
		for (unsigned i = 0; i <= GETS; i++) {
			dispatch_fetch_ahead(&c->session, &batch[i], 1 + GETS - i);
			assert_int_equal(dispatch_run(&c->session, &batch[i], &ticks), OUTCOME_DONE);
			if (i > 0)
				continue;
			shard_purge(shard);
			while (shard_work(shard, 1000))
				;
			before = blocks_of(shard);
		}
		assert_int_equal(blocks_of(shard), before);
		size_t reply = strlen(cases[n].reply), replies = strlen(cases[n].replies);
		assert_int_equal(c->out.len, reply + GETS * replies);
		assert_memory_equal(c->out.data, cases[n].reply, reply);
		for (unsigned i = 0; i < GETS; i++)
			assert_memory_equal(c->out.data + reply + i * replies, cases[n].replies, replies);
		close_world(w, c);
	}
}

static void test_long_unknown_commands(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	char name[300], want[600];
	(void)state;
	memset(name, 'n', sizeof(name));
	struct slice argv[3] = {{name, 200}, {name, 200}, SLICE("x")};
	snprintf(want, sizeof(want), "-ERR unknown command '%.128s', with args beginning with: '%.128s' \r\n", name,
		 name);
	assert_string_equal(client_run(c, argv, 3), want);
	struct slice broken[2] = {SLICE("a\r\nb"), SLICE("c\nd")};
	assert_string_equal(client_run(c, broken, 2),
			    "-ERR unknown command 'a  b', with args beginning with: 'c d' \r\n");
	struct slice empty[1] = {SLICE("")};
	assert_string_equal(client_run(c, empty, 1), "-ERR unknown command '', with args beginning with: \r\n");
	assert_int_equal(counter_get(&c->session.env->unknown_commands), 3);
	close_world(w, c);
}

static void test_counters_of_commands(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	const struct command_counters *f = &c->session.env->commands[COMMAND_INCR];
	(void)state;
	expect(c, "SET k a", OK);
	ask(c, "INCR k");
	ask(c, "INCR");
	ask(c, "INCR n");
	assert_int_equal(command_calls(f), 2);
	assert_int_equal(counter_get(&f->failed), 1);
	assert_int_equal(counter_get(&f->rejected), 1);
	assert_int_equal(counter_get(&c->session.tenant->counters.commands), 4);
	close_world(w, c);
}

static void test_commands_with_secrets_have_their_input_wiped(void **state) {
	static const struct {
		const char *line;
		bool wiped;
	} table[] = {
		{"AUTH secret", true},    {"HELLO 2", true},           {"TENANT CREATE a secret s", true},
		{"PING", false},          {"CONFIG SET save x", true}, {"ACL SETUSER a >secret", true},
		{"ACL DELUSER a", false},
	};
	struct client *c;
	struct world *w = open_world(NULL, &c);
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		c->session.flags &= ~(uint32_t)SESSION_SECRET;
		ask(c, table[i].line);
		assert_int_equal((c->session.flags & SESSION_SECRET) != 0, table[i].wiped);
	}
	close_world(w, c);
}

static void test_the_row_says_which_arguments_are_secrets(void **state) {
	static const struct {
		const char *command;
		struct slice argv[8];
		const char *secrets; /* their numbers */
	} table[] = {
		{"auth", {SLICE("AUTH"), SLICE("secret")}, "1"},
		{"auth", {SLICE("AUTH"), SLICE("name"), SLICE("secret")}, "12"},
		{"hello", {SLICE("HELLO"), SLICE("3"), SLICE("SETNAME"), SLICE("n")}, ""},
		{"hello", {SLICE("HELLO"), SLICE("3"), SLICE("auth"), SLICE("name"), SLICE("secret")}, "34"},
		{"tenant|create",
		 {SLICE("TENANT"), SLICE("CREATE"), SLICE("secret"), SLICE("SECRET"), SLICE("s")},
		 "4"},
		{"tenant|set", {SLICE("TENANT"), SLICE("SET"), SLICE("a"), SLICE("secret_sha256"), SLICE("s")}, "4"},
		{"tenant|set", {SLICE("TENANT"), SLICE("SET"), SLICE("a"), SLICE("max_entries"), SLICE("1")}, ""},
		{"config|set",
		 {SLICE("CONFIG"), SLICE("SET"), SLICE("save"), SLICE("requirepass"), SLICE("RequirePass"), SLICE("s")},
		 "5"},
		{"acl|setuser", {SLICE("ACL"), SLICE("SETUSER"), SLICE("name"), SLICE(">secret")}, "23"},
		{"acl|deluser", {SLICE("ACL"), SLICE("DELUSER"), SLICE("name")}, ""},
		{"tenant|info", {SLICE("TENANT"), SLICE("INFO"), SLICE("secret")}, ""},
		{"echo", {SLICE("ECHO"), SLICE("AUTH"), SLICE("secret")}, ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct request r = {.argv = table[i].argv};
		char secrets[16] = "";
		r.command = command_find_full(&command_set, slice_of(table[i].command));
		assert_non_null(r.command);
		while (r.argc < 8 && r.argv[r.argc].data != NULL)
			r.argc++;
		for (uint32_t k = 0; k < r.argc; k++) {
			if (request_is_secret(&r, k))
				snprintf(secrets + strlen(secrets), sizeof(secrets) - strlen(secrets), "%u", k);
		}
		assert_string_equal(secrets, table[i].secrets);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_with_secrets_have_their_input_wiped),
		cmocka_unit_test(test_the_row_says_which_arguments_are_secrets),
		cmocka_unit_test(test_nothing_without_auth),
		cmocka_unit_test(test_tenants_are_apart),
		cmocka_unit_test(test_listed_tenants),
		cmocka_unit_test(test_moves_to_the_tenants_worker),
		cmocka_unit_test(test_removed_tenant),
		cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_max_clients),
		cmocka_unit_test(test_max_tenants),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_waiting_costs_once),
		cmocka_unit_test(test_a_batch_is_run_in_order),
		cmocka_unit_test(test_a_long_batch_reads_no_freed_memory),
		cmocka_unit_test(test_long_unknown_commands),
		cmocka_unit_test(test_counters_of_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
