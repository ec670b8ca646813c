#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/glob.h"
#include "glob_reference.h"
#include "harness.h"

/* Matches with unlimited work. */
static bool matches(struct slice pattern, struct slice text, bool nocase) {
	uint64_t work = UINT64_MAX;
	return glob_match(pattern, text, nocase, &work);
}

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
		if (matches(slice_of(cases[i].pattern), slice_of(cases[i].text), false) != cases[i].match)
			fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].text);
	}
}

static void case_is_ignored_as_redis_ignores_it(void **state) {
	(void)state;
	assert_true(matches(SLICE("MaxMem*"), SLICE("maxmemory"), true));
	assert_false(matches(SLICE("MaxMem*"), SLICE("maxmemory"), false));
	assert_true(matches(SLICE("[A-C]"), SLICE("b"), true));
	assert_true(matches(SLICE("[B]"), SLICE("b"), true));
	assert_false(matches(SLICE("[\\B]"), SLICE("b"), true));
	assert_false(matches(SLICE("[Z-a]"), SLICE("a"), true));
	assert_true(matches(SLICE("\\B"), SLICE("b"), true));
}

static void any_byte_may_occur(void **state) {
	(void)state;
	assert_true(matches(SLICE("a\0*"), SLICE("a\0b"), false));
	assert_false(matches(SLICE("a\0c"), SLICE("a\0b"), false));
	assert_true(matches(SLICE("[\x80-\x90]"), SLICE("\x85"), false));
	/* Bytes above 0x7f sort before all others in a range. */
	assert_true(matches(SLICE("[\xf0-\x10]"), SLICE("\xff"), false));
	assert_false(matches(SLICE("[\xf0-\x10]"), SLICE("\x80"), false));
	/* The byte after the slice is not read. */
	assert_false(matches((struct slice){"[a]", 2}, SLICE("]"), false));
	assert_true(matches((struct slice){"ab*", 2}, (struct slice){"abc", 2}, false));
}

static void many_stars_take_little_work(void **state) {
	char pattern[401], text[50000];
	(void)state;
	for (size_t i = 0; i < 400; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[400] = 'b';
	memset(text, 'a', sizeof(text));
	assert_false(matches((struct slice){pattern, 401}, (struct slice){text, sizeof(text)}, false));
	assert_true(matches((struct slice){pattern, 400}, (struct slice){text, sizeof(text)}, false));
}

/* The reference: a pattern becomes an array of byte sets, with -1 for a star. It tries every way to match. */
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
		if (matches(slice_of(pattern), slice_of(text), false) != oracle_match(&o, 0, text))
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

/* Random short patterns and texts over a few special and a few ordinary bytes. */
static void agrees_with_the_recursion_of_redis(void **state) {
	static const char bytes[] = "abAB*?[]^-\\\0\x7f\x80\xff*[";
	unsigned seed = 1;
	(void)state;
	for (unsigned n = 0; n < 300000; n++) {
		char pattern[8], text[8];
		size_t p = (unsigned)rand_r(&seed) % 9, t = (unsigned)rand_r(&seed) % 9;
		for (size_t i = 0; i < p; i++)
			pattern[i] = bytes[(unsigned)rand_r(&seed) % (sizeof(bytes) - 1)];
		for (size_t i = 0; i < t; i++)
			text[i] = bytes[(unsigned)rand_r(&seed) % (sizeof(bytes) - 1)];
		for (int nocase = 0; nocase < 2; nocase++) {
			struct slice ps = {pattern, p}, ts = {text, t};
			if (matches(ps, ts, nocase) != reference_glob(ps, ts, nocase))
				fail_msg("'%.*s' against '%.*s'", (int)p, pattern, (int)t, text);
		}
	}
}

static uint64_t steps(struct slice pattern, struct slice text) {
	uint64_t work = UINT64_MAX;
	glob_match(pattern, text, false, &work);
	return UINT64_MAX - work;
}

enum { LONG = 1000 };

/* Fills `pattern` with a worst case of `len` bytes, with or without many stars. */
static void fill_worst(char *pattern, size_t len, unsigned kind) {
	static const char *const parts[] = {"a", "?", "*a", "[b-a]", "\\a", "*a?", "***a"};
	const char *part = parts[kind];
	for (size_t i = 0; i < len; i++)
		pattern[i] = part[i % strlen(part)];
	pattern[0] = '*';
	pattern[len - 1] = 'b';
}
#define WORST_KINDS 7

static void takes_at_most_pattern_times_text(void **state) {
	static char pattern[LONG], text[LONG];
	(void)state;
	memset(text, 'a', sizeof(text));
	for (unsigned kind = 0; kind < WORST_KINDS; kind++) {
		fill_worst(pattern, LONG, kind);
		assert_in_range(steps((struct slice){pattern, LONG}, (struct slice){text, LONG}), 1,
				(LONG + 2) * (LONG + 2) + 32);
	}
	/* A usual pattern examines each byte about once. */
	assert_in_range(steps(SLICE("news.*"), (struct slice){text, LONG}), 1, 32);
	assert_in_range(steps(SLICE("*x*"), (struct slice){text, LONG}), LONG, 2 * LONG + 32);
}

static void work_is_bounded(void **state) {
	static char pattern[LONG], text[200 * LONG];
	const struct slice costly = {pattern, LONG};
	(void)state;
	fill_worst(pattern, LONG, 1);
	memset(text, 'a', sizeof(text));
	uint64_t work = 1000000;
	assert_false(glob_match(costly, (struct slice){text, sizeof(text)}, false, &work));
	assert_int_equal(work, 0);
	work = 1000000;
	assert_false(glob_match_usual(costly, (struct slice){text, sizeof(text)}, false, &work));
	assert_int_equal(work, 0);
	/* The steps of a usual pattern are not subtracted. */
	work = 1;
	assert_true(glob_match_usual(SLICE("*name*[0-9]"), SLICE("some:name:5:name:55"), false, &work));
	assert_false(glob_match_usual(SLICE("*name*x"), SLICE("some:name:5:name:55"), false, &work));
	assert_int_equal(work, 1);
}

static void costly_patterns_are_recognized(void **state) {
	static char pattern[4 * LONG], text[4 * LONG];
	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t len = 1; len <= sizeof(pattern); len = len * 3 / 2 + 1) {
		for (unsigned kind = 0; kind < WORST_KINDS; kind++) {
			struct slice p = {pattern, len};
			fill_worst(pattern, len, kind);
			if (!glob_is_costly(p))
				assert_in_range(steps(p, (struct slice){text, len}), 1, GLOB_WORK + 2 * len + 32);
		}
	}
	fill_worst(pattern, sizeof(pattern), 1);
	assert_true(glob_is_costly((struct slice){pattern, sizeof(pattern)}));
	/* A mismatch repeats only the part between two stars. */
	pattern[0] = 'a';
	assert_false(glob_is_costly((struct slice){pattern, sizeof(pattern)}));
	fill_worst(pattern, sizeof(pattern), 2);
	assert_false(glob_is_costly((struct slice){pattern, sizeof(pattern)}));
	assert_false(glob_is_costly(SLICE("__keyspace@*__:user:[0-9]*")));
	assert_false(glob_is_costly(SLICE("")));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_table),
		cmocka_unit_test(case_is_ignored_as_redis_ignores_it),
		cmocka_unit_test(any_byte_may_occur),
		cmocka_unit_test(many_stars_take_little_work),
		cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(agrees_with_the_recursion_of_redis),
		cmocka_unit_test(takes_at_most_pattern_times_text),
		cmocka_unit_test(costly_patterns_are_recognized),
		cmocka_unit_test(agrees_with_trying_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
