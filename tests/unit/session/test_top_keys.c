/* The sketches of HOTKEYS and BIGKEYS against exact counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/session/top_keys.h"
#include "harness.h"

#define NAMES  20000
#define STREAM 400000

/* Numbers of their own, the same in each run. */
static uint64_t next(uint64_t *x) {
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static struct key key_of(unsigned number, char name[16]) {
	snprintf(name, 16, "key:%u", number);
	/* Equal hashes: the names decide. */
	return (struct key){.name = slice_of(name), .hash = number % 1000};
}

static unsigned number_of(const struct top_key *k) {
	char text[16] = "";
	memcpy(text, k->name + 4, (size_t)k->len - 4);
	return (unsigned)strtoul(text, NULL, 10);
}

/* A stream in which key n occurs n+1 times less often than key 0. */
static void test_counts_of_a_skewed_stream(void **state) {
	static uint64_t exact[NAMES];
	static double sums[NAMES];
	struct top_keys *top = calloc(1, sizeof(*top));
	uint64_t x = 42;
	double sum = 0;
	char name[16];
	(void)state;
	for (unsigned i = 0; i < NAMES; i++)
		sums[i] = sum += 1.0 / (i + 1);
	for (unsigned i = 0; i < STREAM; i++) {
		double at = (double)(next(&x) >> 11) / (double)(UINT64_C(1) << 53) * sum;
		unsigned low = 0, high = NAMES - 1;
		while (low < high) {
			unsigned middle = (low + high) / 2;
			if (sums[middle] < at)
				low = middle + 1;
			else
				high = middle;
		}
		struct key key = key_of(low, name);
		exact[low]++;
		top_keys_count(top, &key, 1);
	}
	uint8_t order[TOP_KEYS];
	uint64_t total = 0;
	assert_int_equal(top_keys_order(top, 0, order), TOP_KEYS);
	for (unsigned i = 0; i < TOP_KEYS; i++) {
		const struct top_key *k = &top->keys[i];
		uint64_t times = exact[number_of(k)];
		/* The guarantee of the paper: never less than the true count, and more by at most the error. */
		assert_in_range(times, k->weight - k->error, k->weight);
		assert_in_range(k->error, 0, STREAM / TOP_KEYS);
		total += k->weight;
	}
	assert_int_equal(total, STREAM);
	/* Each of these has more than 1/TOP_KEYS of all uses. */
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(number_of(&top->keys[order[i]]), 0, 5);
	assert_int_equal(number_of(&top->keys[order[0]]), 0);
	top_keys_fade(top);
	assert_in_range(top->keys[order[0]].weight, exact[0] / 2 - 1, exact[0] / 2 + STREAM / TOP_KEYS);
	top_keys_clear(top);
	assert_int_equal(top->bytes, 0);
	free(top);
}

/* The heaviest keys are kept, in any order of the stream. */
static void test_largest(void **state) {
	struct top_keys *top = calloc(1, sizeof(*top));
	uint64_t x = 7;
	char name[16];
	uint8_t order[TOP_KEYS];
	(void)state;
	assert_int_equal(top_keys_least(top), 0);
	for (unsigned i = 0; i < NAMES; i++) {
		unsigned number = (unsigned)(next(&x) % NAMES);
		struct key key = key_of(number, name);
		top_keys_set(top, &key, number);
	}
	for (unsigned i = 0; i < TOP_KEYS; i++) {
		struct key key = key_of(NAMES + i, name);
		top_keys_set(top, &key, NAMES + i);
		top_keys_set(top, &key, NAMES + i);
	}
	assert_int_equal(top_keys_least(top), NAMES);
	assert_int_equal(top_keys_order(top, 0, order), TOP_KEYS);
	for (unsigned i = 0; i < TOP_KEYS; i++)
		assert_int_equal(number_of(&top->keys[order[i]]), NAMES + TOP_KEYS - 1 - i);
	/* Lighter than all of them, of equal weight, and one that became lighter. */
	struct key key = key_of(1, name);
	top_keys_set(top, &key, NAMES);
	assert_int_equal(top_keys_least(top), NAMES);
	key = key_of(NAMES + 5, name);
	top_keys_set(top, &key, 3);
	assert_int_equal(top_keys_least(top), 3);
	/* A removed key makes room for any key. */
	top_keys_remove(top, 0);
	assert_int_equal(top_keys_least(top), 0);
	top_keys_clear(top);
	free(top);
}

static void test_names(void **state) {
	struct top_keys *top = calloc(1, sizeof(*top));
	char *name = calloc(1, TOP_KEY_NAME + 1);
	struct key key = {.name = {name, TOP_KEY_NAME + 1}, .hash = 1};
	uint8_t order[TOP_KEYS];
	(void)state;
	top_keys_count(top, &key, 1);
	assert_int_equal(top->count, 0);
	key.name.len = TOP_KEY_NAME;
	top_keys_count(top, &key, 1);
	key.name.len = 0;
	top_keys_count(top, &key, 2);
	key.db_slot = 3;
	top_keys_count(top, &key, 4);
	assert_int_equal(top->count, 3);
	assert_int_equal(top->bytes, TOP_KEY_NAME + 3);
	assert_int_equal(top_keys_order(top, 0, order), 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(top_keys_order(top, 3, order), 1);
	assert_int_equal(top->keys[order[0]].weight, 4);
	top_keys_clear(top);
	free(top);
	free(name);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_of_a_skewed_stream),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
