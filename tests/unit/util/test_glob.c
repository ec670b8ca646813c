#include <stdio.h>
#include <string.h>

#include "atomdb/util/glob.h"
#include "harness.h"

static void follows_the_table(void **state) {
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "a", true},
		{"*", "", false},
		{"**", "", false},
		{"a*", "a", true},
		{"a**", "a", true},
		{"a*b", "ab", true},
		{"a*b", "aXbXb", true},
		{"a*b", "aXbXc", false},
		{"*a*b*", "xaybz", true},
		{"?", "", false},
		{"?", "a", true},
		{"??", "a", false},
		{"h?llo", "hello", true},
		{"h[ae]llo", "hallo", true},
		{"h[ae]llo", "hillo", false},
		{"h[^e]llo", "hallo", true},
		{"h[^e]llo", "hello", false},
		{"h[a-c]llo", "hbllo", true},
		{"h[c-a]llo", "hbllo", true},
		{"[a-", "a", true},
		{"[a-", "-", true},
		{"[a-]", "-", false},
		{"[a-]", "]", true},
		{"[a-]", "a", true},
		{"[]", "]", false},
		{"[]a]", "a", false},
		{"[^]", "a", true},
		{"[", "a", false},
		{"[", "[", false},
		{"[^", "a", true},
		{"[a", "a", true},
		{"[a", "b", false},
		{"[^a", "b", true},
		{"[\\]]", "]", true},
		{"[\\", "\\", true},
		{"\\", "\\", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"a\\?b", "a?b", true},
		{"a\\?b", "axb", false},
		{"[a\\-z]", "-", true},
		{"[a\\-z]", "b", false},
		{"*[ab]", "xxb", true},
		{"*[^b]", "xxb", false},
		{"[*]", "*", true},
		{"[?]", "a", false},
		{"]", "]", true},
		{"a]", "a]", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (glob_match(slice_of(cases[i].pattern), slice_of(cases[i].text), false) != cases[i].match)
			fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].text);
	}
}

static void case_is_ignored_as_redis_ignores_it(void **state) {
	(void)state;
	assert_true(glob_match(SLICE("MaxMem*"), SLICE("maxmemory"), true));
	assert_false(glob_match(SLICE("MaxMem*"), SLICE("maxmemory"), false));
	assert_true(glob_match(SLICE("[A-C]"), SLICE("b"), true));
	assert_true(glob_match(SLICE("[B]"), SLICE("b"), true));
	assert_false(glob_match(SLICE("[\\B]"), SLICE("b"), true));
	assert_false(glob_match(SLICE("[Z-a]"), SLICE("a"), true));
	assert_true(glob_match(SLICE("\\B"), SLICE("b"), true));
}

static void any_byte_is_a_byte(void **state) {
	(void)state;
	assert_true(glob_match(SLICE("a\0*"), SLICE("a\0b"), false));
	assert_false(glob_match(SLICE("a\0c"), SLICE("a\0b"), false));
	assert_true(glob_match(SLICE("[\x80-\x90]"), SLICE("\x85"), false));
	/* Bytes above 0x7f are below all others in a range. */
	assert_true(glob_match(SLICE("[\xf0-\x10]"), SLICE("\xff"), false));
	assert_false(glob_match(SLICE("[\xf0-\x10]"), SLICE("\x80"), false));
	/* What lies behind the slice is not read. */
	assert_false(glob_match((struct slice){"[a]", 2}, SLICE("]"), false));
	assert_true(glob_match((struct slice){"ab*", 2}, (struct slice){"abc", 2}, false));
}

static void many_stars_take_no_time(void **state) {
	char pattern[401], text[50000];
	(void)state;
	for (size_t i = 0; i < 400; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[400] = 'b';
	memset(text, 'a', sizeof(text));
	assert_false(glob_match((struct slice){pattern, 401}, (struct slice){text, sizeof(text)}, false));
	assert_true(glob_match((struct slice){pattern, 400}, (struct slice){text, sizeof(text)}, false));
}

/* The oracle: a pattern becomes a row of sets of bytes, with -1 for a star, and is tried in every way. */
struct oracle {
	int elements;
	bool star[8];
	bool takes[8][128];
};

static void read_class(const char **at, bool takes[128]) {
	const char *p = *at;
	bool negated = *p == '^';
	if (negated)
		p++;
	for (; *p != '\0' && *p != ']'; p++) {
		if (*p == '\\' && p[1] != '\0') {
			takes[(int)*++p] = true;
		} else if (p[1] == '-' && p[2] != '\0') {
			int a = p[0], b = p[2];
			for (int c = a < b ? a : b; c <= (a < b ? b : a); c++)
				takes[c] = true;
			p += 2;
		} else {
			takes[(int)*p] = true;
		}
	}
	if (*p == ']')
		p++;
	for (int c = 0; negated && c < 128; c++)
		takes[c] = !takes[c];
	*at = p;
}

static void oracle_read(struct oracle *o, const char *p) {
	memset(o, 0, sizeof(*o));
	while (*p != '\0') {
		int e = o->elements++;
		char c = *p++;
		if (c == '*')
			o->star[e] = true;
		else if (c == '?')
			memset(o->takes[e], true, sizeof(o->takes[e]));
		else if (c == '[')
			read_class(&p, o->takes[e]);
		else if (c == '\\' && *p != '\0')
			o->takes[e][(int)*p++] = true;
		else
			o->takes[e][(int)c] = true;
	}
}

static bool oracle_match(const struct oracle *o, int e, const char *text) {
	if (e == o->elements)
		return *text == '\0';
	if (o->star[e])
		return oracle_match(o, e + 1, text) || (*text != '\0' && oracle_match(o, e, text + 1));
	return *text != '\0' && o->takes[e][(int)*text] && oracle_match(o, e + 1, text + 1);
}

static void against_every_text(const char *pattern) {
	static const char letters[] = "ab-]";
	struct oracle o;
	oracle_read(&o, pattern);
	for (int n = 1; n < 4 * 4 * 4; n++) {
		char text[4];
		int len = n < 4 ? 1 : n < 16 ? 2 : 3;
		for (int i = 0, rest = n; i < len; i++, rest /= 4)
			text[i] = letters[rest % 4];
		text[len] = '\0';
		if (glob_match(slice_of(pattern), slice_of(text), false) != oracle_match(&o, 0, text))
			fail_msg("'%s' against '%s'", pattern, text);
	}
}

static void agrees_with_trying_everything(void **state) {
	static const char letters[] = "ab*?[]^-\\";
	enum { LETTERS = sizeof(letters) - 1, LONGEST = 5 };
	(void)state;
	for (int len = 0, count = 1; len <= LONGEST; len++, count *= LETTERS) {
		for (int n = 0; n < count; n++) {
			char pattern[LONGEST + 1];
			for (int i = 0, rest = n; i < len; i++, rest /= LETTERS)
				pattern[i] = letters[rest % LETTERS];
			pattern[len] = '\0';
			against_every_text(pattern);
		}
	}
}

static void work_is_bounded(void **state) {
	enum { LONG = 100000 };
	static char pattern[LONG], text[2 * LONG];
	(void)state;
	memset(pattern, '?', sizeof pattern);
	pattern[0] = '*';
	pattern[LONG - 1] = 'b';
	memset(text, 'a', sizeof text);
	uint64_t work = 1000000;
	assert_false(glob_match_within((struct slice){pattern, LONG}, (struct slice){text, 2 * LONG}, false, &work));
	assert_int_equal(work, 0);
	/* What usual patterns take is not counted. */
	work = 1;
	assert_true(glob_match_within(SLICE("*name*[0-9]"), SLICE("some:name:5:name:55"), false, &work));
	assert_false(glob_match_within(SLICE("*name*x"), SLICE("some:name:5:name:55"), false, &work));
	assert_int_equal(work, 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_table),  cmocka_unit_test(case_is_ignored_as_redis_ignores_it),
		cmocka_unit_test(any_byte_is_a_byte), cmocka_unit_test(many_stars_take_no_time),
		cmocka_unit_test(work_is_bounded),    cmocka_unit_test(agrees_with_trying_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
