/* Writers that are suspended at each of their check points in turn. A copy of the arena shows what the next process
 * finds after SIGKILL there. If the process stops there instead, the next one runs the command exactly once. A
 * neighbour writes between the slices. */
#include <sys/mman.h>

#include "atomdb/rdb/payload.h"
#include "atomdb/rdb/string.h"
#include "turned.h"

struct suspended_writer {
	const char *name, *setup, *command;
};

#define PADS      "INCR pad\r\nINCR pad\r\nINCR pad\r\nINCR pad\r\nINCR pad\r\nINCR pad\r\n"
#define EXEC(x)   "MULTI\r\n" PADS PADS x PADS "EXEC\r\n"
#define LARGE(k)  "SETRANGE " k " 300000 end\r\nSETRANGE " k " 0 begin_of_" k "\r\n"
#define SOME_KEYS "MSET k1 a k2 b k3 12 k5 d k8 e\r\nSELECT 2\r\nMSET k1 A x y\r\nSELECT 0\r\nEXPIRE k2 100000\r\n"

static char many_names[6000], many_pairs[12000], many_others[12000], many_elements[60000], many_fields[20000];

static void name_many(void) {
	for (unsigned i = 0; i < 600; i++) {
		snprintf(many_names + strlen(many_names), 16, " k%u", i);
		snprintf(many_pairs + strlen(many_pairs), 32, " k%u value%u", i, i);
		snprintf(many_others + strlen(many_others), 32, " k%u other%u", i, i);
		snprintf(many_fields + strlen(many_fields), 32, " INCRBY u8 %u %u", 8 * i, i);
	}
	for (unsigned i = 0; i < 3000; i++)
		snprintf(many_elements + strlen(many_elements), 16, " e%u", i);
}

/* '%' stands for many names, '&' and '*' for many pairs, '@' for many elements, '#' for many fields; '$' for a RESTORE.
 */
static const struct suspended_writer writers[] = {
	{"mset", SOME_KEYS, "MSET&\r\n"},
	{"mset of present keys", "MSET*\r\n", "MSET&\r\n"},
	{"msetnx", "SET other v\r\n", "MSETNX&\r\n"},
	{"del", SOME_KEYS, "DEL%\r\n"},
	{"unlink", SOME_KEYS LARGE("k9"), "UNLINK%\r\n"},
	{"rename", LARGE("a") LARGE("b"), "RENAME a b\r\n"},
	{"rename to a longer name", LARGE("a"), "RENAME a a_much_longer_name_than_the_first_one\r\n"},
	{"renamenx", LARGE("a"), "RENAMENX a b\r\n"},
	{"copy", LARGE("a") LARGE("b"), "COPY a b REPLACE\r\n"},
	{"copy to another database", LARGE("a"), "COPY a a DB 5\r\n"},
	{"bitop", LARGE("a") LARGE("b") LARGE("d"), "BITOP XOR d a b\r\n"},
	{"bitop not", LARGE("a"), "BITOP NOT a a\r\n"},
	{"setrange behind", LARGE("a"), "SETRANGE a 700000 behind\r\n"},
	{"setrange new", "", "SETRANGE a 700000 behind\r\n"},
	{"append", LARGE("a"), "APPEND a more\r\n"},
	{"setbit behind", LARGE("a"), "SETBIT a 5000001 1\r\n"},
	{"bitfield", LARGE("a"), "BITFIELD a SET u8 100 7 INCRBY u8 1000000 9 GET u8 100 SET u16 5000000 5\r\n"},
	{"bitfield of many", SOME_KEYS, "BITFIELD k1#\r\n"},
	{"restore", LARGE("a"), "$"},
	{"pfadd", "PFADD h x\r\n", "PFADD h@\r\n"},
	{"pfmerge", "PFADD h1@\r\nPFADD h2 a b\r\nPFADD h3 c d\r\nPFADD h x\r\n",
	 "PFMERGE h h1 h2 h3 h1 h2 h3 h1 h2 h3 h1\r\n"},
	{"flushdb", SOME_KEYS LARGE("a"), EXEC("FLUSHDB\r\nSET k1 new\r\n")},
	{"flushall", SOME_KEYS, EXEC("FLUSHALL\r\nSET k1 new\r\n")},
	{"flush of a new database", SOME_KEYS, EXEC("SELECT 5\r\nSET a b\r\nFLUSHDB\r\nSET c d\r\nSELECT 0\r\n")},
	{"swapdb", SOME_KEYS, EXEC("SWAPDB 0 2\r\nSET k1 new\r\nSWAPDB 2 7\r\n")},
	{"move", SOME_KEYS LARGE("a"), EXEC("MOVE a 2\r\nMOVE k1 2\r\nMOVE k5 4\r\nSET a again\r\n")},
	{"getset", SOME_KEYS, EXEC("GETSET k1 x\r\nGETDEL k2\r\nGETSET k3 longer_than_before_it_was\r\n")},
	{"expire", SOME_KEYS LARGE("a"), EXEC("EXPIRE a 100000\r\nPERSIST k2\r\nEXPIRE k1 100000\r\nEXPIRE k5 -1\r\n")},
	{"counters", SOME_KEYS, EXEC("INCRBY k3 1000000\r\nINCRBYFLOAT f 2.5\r\nDECR k3\r\nSETEX k3 100000 7\r\n")},
	{"long commands", SOME_KEYS LARGE("a"), EXEC("BITOP NOT b a\r\nMSET&\r\nCOPY a c\r\nDEL%\r\nRENAME a d\r\n")},
	{"changes of one key", "SET a 1\r\n",
	 EXEC("APPEND a x\r\nDEL a\r\nSET a 5\r\nINCR a\r\nRENAME a b\r\nCOPY b a\r\nSETRANGE a 300000 x\r\nDEL "
	      "a\r\n")},
};
#define LAST    6 /* of a writer's turns: the process ends in each of them */
#define WRITERS (sizeof(writers) / sizeof(writers[0]))

/* --- clients ------------------------------------------------------------------------------------------------------ */

/* Returns all that has come. */
static const char *take_replies(struct turned_client c) {
	static char got[1 << 20];
	ssize_t n = recv(c.fd, got, sizeof(got) - 1, 0);
	got[n > 0 ? n : 0] = '\0';
	return got;
}

static const char *do_all(struct turned_client c, const char *commands) {
	client_send(c.fd, commands);
	turned_finish(c.of);
	return take_replies(c);
}

static struct turned_client client_of(struct turned *s, const char *secret) {
	s->worker->env.settings.debug = true;
	return turned_auth(s, secret);
}

/* Puts the words in their places. */
static char *written_out(const char *command) {
	char *text = calloc(1, 200000), *at = text;
	assert_non_null(text);
	for (; *command != '\0'; command++) {
		const char *words = *command == '%'   ? many_names
				    : *command == '&' ? many_pairs
				    : *command == '*' ? many_others
				    : *command == '@' ? many_elements
				    : *command == '#' ? many_fields
						      : NULL;
		at += words != NULL ? sprintf(at, "%s", words) : sprintf(at, "%c", *command);
	}
	return text;
}

static void send_restore(struct turned_client c) {
	static char value[150000];
	struct buffer payload;
	char begin[128];
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)(i * i >> 7);
	buffer_init(&payload);
	assert_int_equal(rdb_write_string(&payload, (struct slice){value, sizeof(value)}), 0);
	assert_int_equal(payload_seal(&payload, 0), 0);
	snprintf(begin, sizeof(begin), "*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$9\r\n100000000\r\n$%zu\r\n", payload.len);
	client_send(c.fd, begin);
	client_send_bytes(c.fd, payload.data, payload.len);
	client_send(c.fd, "\r\n$7\r\nREPLACE\r\n");
	/* A turn reads WORKER_READ bytes. */
	turned_turns(c.of, 2);
	buffer_deinit(&payload);
}

static void send_command(struct turned_client c, const char *command) {
	if (strcmp(command, "$") == 0)
		send_restore(c);
	else
		client_send(c.fd, command);
}

static const char *do_command(struct turned_client c, const char *command) {
	send_command(c, command);
	turned_finish(c.of);
	return take_replies(c);
}

/* --- what a writer does ------------------------------------------------------------------------------------------- */

struct expected {
	char *setup, *command, *replies;
	char before[64], after[64]; /* replies of DEBUG DIGEST */
};

static void read_digest(struct turned *s, char digest[64]) {
	struct turned_client c = client_of(s, "busy");
	snprintf(digest, 64, "%.63s", do_all(c, "DEBUG DIGEST\r\n"));
	assert_int_equal(digest[0], '+');
	close(c.fd);
	turned_turns(s, 3);
}

static void find_out(const struct suspended_writer *w, struct expected *x) {
	struct turned *s = turned_new();
	struct turned_client c = client_of(s, "busy");
	x->setup = written_out(w->setup);
	(void)do_all(c, x->setup);
	x->command = written_out(w->command);
	read_digest(s, x->before);
	x->replies = strdup(do_command(c, x->command));
	assert_non_null(x->replies);
	if (x->replies[0] == '-' || strstr(x->replies, "\n-") != NULL)
		fail_msg("%s: %s", w->name, x->replies);
	read_digest(s, x->after);
	assert_string_not_equal(x->before, x->after);
	turned_free(s);
}

static void forget(struct expected *x) {
	free(x->setup);
	free(x->command);
	free(x->replies);
}

/* --- ends of the process ------------------------------------------------------------------------------------------ */

/* Copies the arena as it is now. */
static int copy_arena(struct turned *s) {
	static char bytes[1 << 16];
	int from = shard_fd(s->shard), to = memfd_create("copy", MFD_CLOEXEC);
	off_t size = lseek(from, 0, SEEK_END), at = 0;
	assert_true(to > 0 && size > 0);
	assert_int_equal(ftruncate(to, size), 0);
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(from, at, SEEK_HOLE);
		while (at < end) {
			size_t some = end - at < (off_t)sizeof(bytes) ? (size_t)(end - at) : sizeof(bytes);
			assert_int_equal(pread(from, bytes, some, at), some);
			assert_int_equal(pwrite(to, bytes, some, at), some);
			at += (off_t)some;
		}
	}
	return to;
}

/* A process takes the arena over. All writes of the neighbour are there. */
static struct turned *take_over(int fd, unsigned acknowledged) {
	struct turned *s = turned_over(fd);
	struct turned_client quiet = client_of(s, "quiet");
	char size[32];
	assert_int_equal(shard_recovery(s->shard)->dropped, 0);
	snprintf(size, sizeof(size), ":%u\r\n", acknowledged);
	turned_ask(quiet, "DBSIZE\r\n", size);
	return s;
}

static void check_after_a_kill(int fd, const struct expected *x, bool undone, unsigned acknowledged) {
	struct turned *s = take_over(fd, acknowledged);
	char digest[64];
	read_digest(s, digest);
	if (undone)
		assert_string_equal(digest, x->before);
	else if (strcmp(digest, x->before) != 0)
		assert_string_equal(digest, x->after);
	turned_free(s);
}

static void check_after_a_stop(int fd, const struct expected *x, bool again, unsigned acknowledged) {
	struct turned *s = take_over(fd, acknowledged);
	char digest[64];
	read_digest(s, digest);
	if (again) {
		assert_string_equal(digest, x->before);
		assert_string_equal(do_command(client_of(s, "busy"), x->command), x->replies);
		read_digest(s, digest);
	}
	assert_string_equal(digest, x->after);
	turned_free(s);
}

/* Stops the process as loop_run() does. Returns whether the command is pending again. */
static bool stop(struct turned *s, struct turned_client busy, const struct expected *x) {
	struct tenant *t = busy.connection->session.tenant;
	schedule_finish(s->worker);
	output_end_replies(s->worker);
	bool again = t->clients.task != NULL;
	schedule_abandon(s->worker);
	const char *replies = take_replies(busy);
	if (again)
		assert_memory_equal(replies, x->replies, strlen(replies));
	else
		assert_string_equal(replies, x->replies);
	return again;
}

/* Begins a writer. The neighbour writes in each turn. */
static struct turned_client begin(struct turned *s, const struct expected *x) {
	struct turned_client busy = client_of(s, "busy");
	(void)do_all(busy, x->setup);
	send_command(busy, x->command);
	return busy;
}

static void go_on(struct turned_client quiet, unsigned turn) {
	char command[32];
	snprintf(command, sizeof(command), "SET n%u v\r\n", turn);
	turned_ask(quiet, command, "+OK\r\n");
}

/* Returns after how many turns the writer has ended. */
static unsigned count_turns(const struct expected *x) {
	struct turned *s = turned_new();
	struct turned_client quiet = client_of(s, "quiet"), busy = begin(s, x);
	unsigned turns = 0;
	do
		go_on(quiet, turns++);
	while (busy.connection->session.tenant->clients.task != NULL);
	turned_free(s);
	return turns;
}

/* Runs a writer for some turns, and ends the process then. */
static void end_after(const struct expected *x, unsigned turns) {
	struct turned *s = turned_new();
	struct turned_client quiet = client_of(s, "quiet"), busy = begin(s, x);
	for (unsigned i = 0; i < turns; i++)
		go_on(quiet, i);
	const struct tenant *t = busy.connection->session.tenant;
	assert_non_null(t->clients.task);
	check_after_a_kill(copy_arena(s), x, t->suspension.scope.depth != 0, turns);
	bool again = stop(s, busy, x);
	int fd = copy_arena(s);
	turned_free(s);
	check_after_a_stop(fd, x, again, turns);
}

static void each_writer_is_undone_by_a_kill_and_runs_once_over_a_stop(void **state) {
	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* It has one thread. */
#endif
	name_many();
	for (unsigned i = 0; i < WRITERS; i++) {
		struct expected x;
		find_out(&writers[i], &x);
		unsigned end = count_turns(&x);
		if (end == 1)
			fail_msg("%s has no check point", writers[i].name);
		/* The last check points are behind the commit. */
		for (unsigned turns = 1, last = end > LAST ? end - LAST : 1; turns < end;) {
			end_after(&x, turns);
			unsigned next = turns + 1 + turns / 2;
			turns = next < last ? next : turns < last ? last : turns + 1;
		}
		forget(&x);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_writer_is_undone_by_a_kill_and_runs_once_over_a_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
