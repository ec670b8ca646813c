/* LCS. */
#include "world.h"

#define OK      "+OK\r\n"
#define INTEGER "-ERR value is not an integer or out of range\r\n"

static void test_replies_are_those_of_redis(void **state) {
	static const struct exchange table[] = {
		{"MSET a ohmytext b mynewtext", OK},
		{"LCS a b", "$6\r\nmytext\r\n"},
		{"LCS a b LEN", ":6\r\n"},
		{"LCS a none", "$0\r\n\r\n"},
		{"LCS a b IDX",
		 "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n"
		 "*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n"},
		{"LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
		 "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n"},
		{"LCS a b IDX LEN", "-ERR If you want both the length and indexes, please just use IDX.\r\n"},
		{"LCS a b MINMATCHLEN", "-ERR syntax error\r\n"},
		{"LCS a b MINMATCHLEN x", INTEGER},
		{"SETRANGE a 20000 x", ":20001\r\n"},
		{"SETRANGE b 20000 x", ":20001\r\n"},
		{"LCS a b", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

/* Returns the length of the longest common subsequence, by the definition. */
static unsigned length_by_definition(const char *a, const char *b) {
	if (*a == '\0' || *b == '\0')
		return 0;
	if (*a == *b)
		return 1 + length_by_definition(a + 1, b + 1);
	unsigned one = length_by_definition(a + 1, b), other = length_by_definition(a, b + 1);
	return one > other ? one : other;
}

static bool is_subsequence(const char *part, size_t len, const char *of) {
	size_t found = 0;
	for (; *of != '\0' && found < len; of++)
		found += *of == part[found];
	return found == len;
}

static void test_the_reply_is_a_longest_common_subsequence(void **state) {
	struct client *c;
	struct world *w = open_world(NULL, &c);
	uint64_t random = 88172645463325252u;
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		char text[2][9], line[64], want[32];
		for (unsigned k = 0; k < 2; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			size_t len = random >> 60 & 7;
			for (size_t i = 0; i <= len; i++)
				text[k][i] = i == len ? '\0' : (char)('a' + (random >> (20 + 2 * i)) % 3);
		}
		struct slice set[] = {SLICE("MSET"), SLICE("a"), slice_of(text[0]), SLICE("b"), slice_of(text[1])};
		client_run(c, set, 5);
		unsigned length = length_by_definition(text[0], text[1]);
		snprintf(want, sizeof(want), ":%u\r\n", length);
		expect(c, "LCS a b LEN", want);
		snprintf(line, sizeof(line), "%s", ask(c, "LCS a b"));
		snprintf(want, sizeof(want), "$%u\r\n", length);
		assert_memory_equal(line, want, strlen(want));
		assert_true(is_subsequence(line + strlen(want), length, text[0]));
		assert_true(is_subsequence(line + strlen(want), length, text[1]));
	}
	close_world(w, c);
}

static void test_missing_keys_and_short_matches_have_empty_replies(void **state) {
	static const struct exchange table[] = {
		{"LCS none nothing", "$0\r\n\r\n"},
		{"LCS none nothing IDX", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"},
		{"MSET a abxcd b abycd", OK},
		{"LCS a b IDX MINMATCHLEN 3", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:4\r\n"},
		{"LCS a b IDX MINMATCHLEN -1 MINMATCHLEN 3", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:4\r\n"},
		{"LCS a b bogus", "-ERR syntax error\r\n"},
		{"LCS a", "-ERR wrong number of arguments for 'lcs' command\r\n"},
	};
	(void)state;
	EXPECT_ON_NEW_SERVER(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_are_those_of_redis),
		cmocka_unit_test(test_the_reply_is_a_longest_common_subsequence),
		cmocka_unit_test(test_missing_keys_and_short_matches_have_empty_replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
