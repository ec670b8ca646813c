/* Commands against a value of another type. The replies are those of redis-server 7.0.15 for a list. */
#include "atomdb/store/tenant.h"
#include "store/box.h"
#include "world.h"

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define OK        "+OK\r\n"

/* "box" is a box, "text" and "hll" are strings. */
static struct world *open_boxes(struct client **c) {
	struct world *w = debug_world(c);
	for (unsigned i = 0; i < 2; i++)
		w->shards[i]->types = box_types();
	return w;
}

static void fill(struct client *c) {
	struct session *s = &c->session;
	struct key key = keyspace_key(s->tenant, s->db_slot, SLICE("box"));
	expect(c, "FLUSHALL", OK);
	expect(c, "SET text abc", OK);
	expect(c, "PFADD hll a", ":1\r\n");
	assert_int_equal(box_set(s->tenant, &key, NULL, SLICE("content"), 0), 0);
}

static void close_boxes(struct world *w, struct client *c) {
	expect(c, "FLUSHALL", OK);
	while (shard_work(c->session.tenant->shard, 100))
		;
	assert_int_equal(boxes_used(), 0);
	close_world(w, c);
}

/* A command, its reply, and the type of "box" afterwards. */
struct attempt {
	const char *line, *reply, *type;
};

static const struct attempt of_strings[] = {
	{"GET box", WRONGTYPE, "box"},
	{"STRLEN box", WRONGTYPE, "box"},
	{"SET box v", OK, "string"},
	{"SET box v GET", WRONGTYPE, "box"},
	{"SET box v NX", "$-1\r\n", "box"},
	{"SET box v NX GET", WRONGTYPE, "box"},
	{"SET box v XX", OK, "string"},
	{"SET box v XX GET", WRONGTYPE, "box"},
	{"SET box v KEEPTTL", OK, "string"},
	{"SET box v EX 0", "-ERR invalid expire time in 'set' command\r\n", "box"},
	{"SETNX box v", ":0\r\n", "box"},
	{"SETEX box 10 v", OK, "string"},
	{"PSETEX box 10 v", OK, "string"},
	{"GETSET box v", WRONGTYPE, "box"},
	{"GETDEL box", WRONGTYPE, "box"},
	{"GETEX box", WRONGTYPE, "box"},
	{"GETEX box EX 10", WRONGTYPE, "box"},
	{"GETEX box EX 0", WRONGTYPE, "box"},
	{"GETEX box EX bad", WRONGTYPE, "box"},
	{"GETEX box BAD", "-ERR syntax error\r\n", "box"},
	{"MGET box text", "*2\r\n$-1\r\n$3\r\nabc\r\n", "box"},
	{"MSET box v text v", OK, "string"},
	{"MSETNX box v new v", ":0\r\n", "box"},
	{"APPEND box v", WRONGTYPE, "box"},
	{"INCR box", WRONGTYPE, "box"},
	{"DECR box", WRONGTYPE, "box"},
	{"INCRBY box 1", WRONGTYPE, "box"},
	{"INCRBY box x", "-ERR value is not an integer or out of range\r\n", "box"},
	{"DECRBY box 1", WRONGTYPE, "box"},
	{"INCRBYFLOAT box 1", WRONGTYPE, "box"},
	{"INCRBYFLOAT box x", WRONGTYPE, "box"},
	{"GETRANGE box 0 1", WRONGTYPE, "box"},
	{"GETRANGE box x 1", "-ERR value is not an integer or out of range\r\n", "box"},
	{"SUBSTR box 0 1", WRONGTYPE, "box"},
	{"SETRANGE box 0 v", WRONGTYPE, "box"},
	{"SETRANGE box 0 ''", WRONGTYPE, "box"},
	{"SETRANGE box -1 v", "-ERR offset is out of range\r\n", "box"},
	{"SETRANGE box 536870912 v", WRONGTYPE, "box"},
	{"LCS box text", "-ERR The specified keys must contain string values\r\n", "box"},
	{"LCS text box BAD", "-ERR The specified keys must contain string values\r\n", "box"},
	{"LCS absent box", "-ERR The specified keys must contain string values\r\n", "box"},
	{"SETBIT box 0 1", WRONGTYPE, "box"},
	{"SETBIT box x 1", "-ERR bit offset is not an integer or out of range\r\n", "box"},
	{"GETBIT box 0", WRONGTYPE, "box"},
	{"BITCOUNT box", WRONGTYPE, "box"},
	{"BITCOUNT box 0", WRONGTYPE, "box"},
	{"BITCOUNT box x y", WRONGTYPE, "box"},
	{"BITPOS box 1", WRONGTYPE, "box"},
	{"BITPOS box 1 x", WRONGTYPE, "box"},
	{"BITPOS box 2", "-ERR The bit argument must be 1 or 0.\r\n", "box"},
	{"BITOP AND to box text", WRONGTYPE, "box"},
	{"BITOP AND to text box", WRONGTYPE, "box"},
	{"BITOP NOT to box", WRONGTYPE, "box"},
	{"BITOP AND box text", ":3\r\n", "string"},
	{"BITOP AND box absent", ":0\r\n", "none"},
	{"BITFIELD box GET u8 0", WRONGTYPE, "box"},
	{"BITFIELD box SET u8 0 1", WRONGTYPE, "box"},
	{"BITFIELD box", WRONGTYPE, "box"},
	{"BITFIELD box BAD", "-ERR syntax error\r\n", "box"},
	{"BITFIELD_RO box GET u8 0", WRONGTYPE, "box"},
	{"BITFIELD_RO box SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n", "box"},
	{"PFADD box a", WRONGTYPE, "box"},
	{"PFADD box", WRONGTYPE, "box"},
	{"PFCOUNT box", WRONGTYPE, "box"},
	{"PFCOUNT hll box", WRONGTYPE, "box"},
	{"PFMERGE box hll", WRONGTYPE, "box"},
	{"PFMERGE hll box", WRONGTYPE, "box"},
	{"PFMERGE to box", WRONGTYPE, "box"},
	{"PFDEBUG GETREG box", WRONGTYPE, "box"},
	{"PFDEBUG DECODE box", WRONGTYPE, "box"},
	{"PFDEBUG TODENSE box", WRONGTYPE, "box"},
	{"PFDEBUG BAD box", WRONGTYPE, "box"},
};

static const struct attempt of_all_types[] = {
	{"TYPE box", "+box\r\n", "box"},
	{"EXISTS box", ":1\r\n", "box"},
	{"TOUCH box", ":1\r\n", "box"},
	{"DEL box", ":1\r\n", "none"},
	{"UNLINK box", ":1\r\n", "none"},
	{"EXPIRE box 10", ":1\r\n", "box"},
	{"EXPIRE box -1", ":1\r\n", "none"},
	{"PERSIST box", ":0\r\n", "box"},
	{"TTL box", ":-1\r\n", "box"},
	{"OBJECT ENCODING box", "$8\r\nmatchbox\r\n", "box"},
	{"OBJECT REFCOUNT box", ":1\r\n", "box"},
	{"OBJECT IDLETIME box", ":0\r\n", "box"},
	{"COPY box to", ":1\r\n", "box"},
	{"COPY text box", ":0\r\n", "box"},
	{"COPY text box REPLACE", ":1\r\n", "string"},
	{"RENAME box to", OK, "none"},
	{"RENAME text box", OK, "string"},
	{"RENAMENX text box", ":0\r\n", "box"},
	{"MOVE box 1", ":1\r\n", "none"},
	{"SCAN 0 TYPE box", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nbox\r\n", "box"},
	{"SCAN 0 TYPE BOX", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nbox\r\n", "box"},
	{"SCAN 0 TYPE bogus", "*2\r\n$1\r\n0\r\n*0\r\n", "box"},
	{"SCAN 0 TYPE ''", "*2\r\n$1\r\n0\r\n*0\r\n", "box"},
	{"SCAN 0 TYPE string MATCH t*", "*2\r\n$1\r\n0\r\n*1\r\n$4\r\ntext\r\n", "box"},
	{"SORT text", WRONGTYPE, "box"},
	{"SORT text STORE box", WRONGTYPE, "box"},
	{"SORT absent STORE box", ":0\r\n", "none"},
	{"DEBUG SDSLEN box", "-ERR Not an sds encoded string.\r\n", "box"},
	{"DEBUG LISTPACK box", "-ERR Not a listpack encoded object.\r\n", "box"},
	{"RESTORE box 0 x", "-BUSYKEY Target key name already exists.\r\n", "box"},
};

static const char *type_of(struct client *c, const char *name) {
	struct session *s = &c->session;
	struct key key = keyspace_key(s->tenant, s->db_slot, slice_of(name));
	const struct entry *e = keyspace_find(s->tenant, &key, LOOKUP_PEEK);
	return e == NULL ? "none" : value_type_of(s->tenant, e)->name;
}

static void attempt_all(const struct attempt *table, size_t count) {
	struct client *c;
	struct world *w = open_boxes(&c);
	for (size_t i = 0; i < count; i++) {
		fill(c);
		const char *reply = ask(c, table[i].line);
		if (strcmp(reply, table[i].reply) != 0)
			fail_msg("%s: got \"%s\", want \"%s\"", table[i].line, reply, table[i].reply);
		if (strcmp(type_of(c, "box"), table[i].type) != 0)
			fail_msg("%s: it left a value of type %s", table[i].line, type_of(c, "box"));
	}
	close_boxes(w, c);
}

static void test_commands_of_strings_refuse_another_type_as_redis_does(void **state) {
	(void)state;
	attempt_all(of_strings, sizeof(of_strings) / sizeof(of_strings[0]));
}

static void test_commands_of_all_types_take_another_type(void **state) {
	(void)state;
	attempt_all(of_all_types, sizeof(of_all_types) / sizeof(of_all_types[0]));
}

static bool is_attempted(const char *name) {
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof(of_strings) / sizeof(of_strings[0]); i++) {
		const char *line = of_strings[i].line;
		if (strcspn(line, " ") == len && slice_is((struct slice){line, len}, name))
			return true;
	}
	return false;
}

static void test_every_command_of_strings_is_tried(void **state) {
	unsigned tried = 0;
	(void)state;
	for (unsigned id = 0; id < COMMAND_COUNT; id++) {
		const struct command *c = &command_set.rows[id];
		if ((c->group != GROUP_STRING && c->group != GROUP_BITMAP && c->group != GROUP_HYPERLOGLOG) ||
		    c->first_key == 0)
			continue;
		if (!is_attempted(c->name))
			fail_msg("add what %s replies for a list to of_strings", c->name);
		tried++;
	}
	assert_in_range(tried, 33, 100);
}

static void test_memory_usage_dump_and_debug_ask_the_type(void **state) {
	struct client *c;
	struct world *w = open_boxes(&c);
	char bytes[64];
	(void)state;
	fill(c);
	struct session *s = &c->session;
	struct key key = keyspace_key(s->tenant, s->db_slot, SLICE("box"));
	snprintf(bytes, sizeof(bytes), ":%zu\r\n",
		 entry_block_size(keyspace_find(s->tenant, &key, LOOKUP_PEEK)) + strlen("content"));
	expect(c, "MEMORY USAGE box", bytes);
	expect_part(c, "DEBUG OBJECT box", "encoding:matchbox serializedlength:7 ");
	const char *digest = strdup(ask(c, "DEBUG DIGEST-VALUE box text"));
	assert_non_null(digest);
	expect(c, "COPY box to", ":1\r\n");
	expect(c, "DEBUG DIGEST-VALUE to text", digest);
	free((void *)(uintptr_t)digest);
	close_boxes(w, c);
}

static void test_a_dumped_value_is_restored_by_its_type(void **state) {
	struct client *c;
	struct world *w = open_boxes(&c);
	(void)state;
	fill(c);
	ask(c, "DUMP box");
	struct buffer payload;
	buffer_init(&payload);
	const size_t head = 5, size = 1 + 7 + 10; /* "$18\r\n" */
	assert_int_equal(c->out.len, head + size + 2);
	assert_int_equal(buffer_append(&payload, c->out.data + head, size, SIZE_MAX), 0);
	struct slice restore[] = {SLICE("RESTORE"), SLICE("text"), SLICE("0"), buffer_slice(&payload),
				  SLICE("REPLACE")};
	assert_string_equal(client_run(c, restore, 5), OK);
	expect(c, "TYPE text", "+box\r\n");
	assert_int_equal(boxes_used(), 2);
	expect(c, "DEL text", ":1\r\n");
	/* A release that does not know the type. */
	for (unsigned i = 0; i < 2; i++)
		w->shards[i]->types = &value_types;
	assert_string_equal(client_run(c, restore, 4), "-ERR Bad data format\r\n");
	for (unsigned i = 0; i < 2; i++)
		w->shards[i]->types = box_types();
	buffer_deinit(&payload);
	close_boxes(w, c);
}

static void test_a_value_of_an_unknown_type_can_be_seen_and_deleted(void **state) {
	struct client *c;
	struct world *w = open_boxes(&c);
	(void)state;
	fill(c);
	for (unsigned i = 0; i < 2; i++)
		w->shards[i]->types = &value_types;
	expect(c, "GET box", WRONGTYPE);
	expect(c, "TYPE box", "+unknown\r\n");
	expect(c, "OBJECT ENCODING box", "$7\r\nunknown\r\n");
	expect(c, "DUMP box", WRONGTYPE);
	expect(c, "DEBUG OBJECT box", WRONGTYPE);
	expect(c, "COPY box to", WRONGTYPE);
	expect(c, "EXISTS to", ":0\r\n");
	expect(c, "RENAME box to", OK);
	expect(c, "DEL to", ":1\r\n");
	memset(boxes, 0, sizeof(boxes));
	close_boxes(w, c);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_of_strings_refuse_another_type_as_redis_does),
		cmocka_unit_test(test_commands_of_all_types_take_another_type),
		cmocka_unit_test(test_every_command_of_strings_is_tried),
		cmocka_unit_test(test_memory_usage_dump_and_debug_ask_the_type),
		cmocka_unit_test(test_a_dumped_value_is_restored_by_its_type),
		cmocka_unit_test(test_a_value_of_an_unknown_type_can_be_seen_and_deleted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
