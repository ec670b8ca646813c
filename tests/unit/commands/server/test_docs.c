/* The replies of COMMAND DOCS about arguments and history. */
#include "commands/server/docs.h"
#include "world.h"

struct text {
	struct buffer out;
	struct writer writer;
};

static void begin(struct text *t) {
	buffer_init(&t->out);
	writer_init(&t->writer, &t->out, SIZE_MAX);
}

static void end(struct text *t, const char *want) {
	assert_int_equal(t->out.len, strlen(want));
	assert_memory_equal(t->out.data, want, strlen(want));
	buffer_deinit(&t->out);
}

static void test_each_mark_of_an_argument_is_a_field(void **state) {
	static const struct exchange table[] = {
		{"", "*0\r\n"},
		{"key:key@0", "*1\r\n*6\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$14\r\nkey_spec_index"
			      "\r\n:0\r\n"},
		{"a:b:string", "*1\r\n*4\r\n$4\r\nname\r\n$3\r\na:b\r\n$4\r\ntype\r\n$6\r\nstring\r\n"},
		{"?*+n:integer=COUNT<2.0>6.0",
		 "*1\r\n*12\r\n$4\r\nname\r\n$1\r\nn\r\n$4\r\ntype\r\n$7\r\ninteger\r\n$5\r\ntoken\r\n$5\r\nCOUNT\r\n"
		 "$5\r\nsince\r\n$3\r\n2.0\r\n$16\r\ndeprecated_since\r\n$3\r\n6.0\r\n$5\r\nflags\r\n*3\r\n"
		 "+optional\r\n+multiple\r\n+multiple_token\r\n"},
		{"c:oneof(x:block(y:string) z:string) last:string",
		 "*2\r\n*6\r\n$4\r\nname\r\n$1\r\nc\r\n$4\r\ntype\r\n$5\r\noneof\r\n$9\r\narguments\r\n*2\r\n*6\r\n"
		 "$4\r\nname\r\n$1\r\nx\r\n$4\r\ntype\r\n$5\r\nblock\r\n$9\r\narguments\r\n*1\r\n*4\r\n$4\r\nname\r\n"
		 "$1\r\ny\r\n$4\r\ntype\r\n$6\r\nstring\r\n*4\r\n$4\r\nname\r\n$1\r\nz\r\n$4\r\ntype\r\n$6\r\nstring"
		 "\r\n*4\r\n$4\r\nname\r\n$4\r\nlast\r\n$4\r\ntype\r\n$6\r\nstring\r\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct text t;
		begin(&t);
		docs_reply_arguments(&t.writer, table[i].line);
		end(&t, table[i].reply);
	}
}

static void test_docs_count_the_pairs_that_they_write(void **state) {
	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		struct text t;
		begin(&t);
		docs_reply(&t.writer, &command_set.rows[i]);
		static const char *const names[] = {"\ndoc_flags\r", "\ndeprecated_since\r", "\nreplaced_by\r",
						    "\nhistory\r"};
		size_t found = 0;
		assert_int_equal(buffer_append(&t.out, "", 1, SIZE_MAX), 0);
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			found += strstr(t.out.data, names[k]) != NULL;
		assert_int_equal(found, docs_count(&command_set.rows[i]));
		buffer_deinit(&t.out);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_mark_of_an_argument_is_a_field),
		cmocka_unit_test(test_docs_count_the_pairs_that_they_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
