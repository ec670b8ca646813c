/* HyperLogLogs: both forms against plain registers, estimates, and damaged values. */
#include "atomdb/util/error.h"
#include "commands/hyperloglog/hll.h"
#include "commands/hyperloglog/hll_self_test.h"
#include "harness.h"

static struct slice value_of(const struct hll *h) {
	return (struct slice){(const char *)h->bytes, h->len};
}

static void check_registers(const struct hll *h, const uint8_t want[HLL_REGISTERS]) {
	uint8_t have[HLL_REGISTERS] = {0};
	assert_int_equal(hll_merge(have, value_of(h)), 0);
	assert_memory_equal(have, want, HLL_REGISTERS);
}

/* The sparse form grows through all its splits and joins until it is dense. */
static void test_both_forms_have_the_same_registers(void **state) {
	uint8_t want[HLL_REGISTERS] = {0};
	uint64_t random = 88172645463325252u;
	struct hll h, dense;
	bool became_dense = false;
	(void)state;
	hll_init(&h);
	assert_int_equal(h.len, 18);
	for (unsigned round = 0; round < 6000; round++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* The registers are close together, so that runs meet. */
		unsigned index = (unsigned)(random >> 20) % (round < 3000 ? 600 : HLL_REGISTERS);
		unsigned count = 1 + (unsigned)(random >> 50) % (round < 3000 ? 3 : 12);
		assert_int_equal(hll_raise(&h, index, count), count > want[index]);
		want[index] = (uint8_t)(count > want[index] ? count : want[index]);
		became_dense |= hll_is_dense(value_of(&h));
		assert_true(became_dense || h.len <= 3000);
		assert_true(hll_is(value_of(&h)));
		if (round % 50 == 0) {
			check_registers(&h, want);
			dense = h;
			assert_int_equal(hll_make_dense(&dense), 0);
			assert_int_equal(dense.len, HLL_DENSE_SIZE);
			check_registers(&dense, want);
		}
	}
	assert_true(became_dense);
	check_registers(&h, want);
	assert_int_equal(hll_raise(&h, HLL_REGISTERS - 1, 63), 1);
	want[HLL_REGISTERS - 1] = 63;
	check_registers(&h, want);
}

/* A count that no opcode has makes the value dense. */
static void test_a_count_above_32_makes_the_value_dense(void **state) {
	struct hll h;
	(void)state;
	hll_init(&h);
	assert_int_equal(hll_raise(&h, 5, 32), 1);
	assert_false(hll_is_dense(value_of(&h)));
	assert_int_equal(hll_raise(&h, 5, 33), 1);
	assert_true(hll_is_dense(value_of(&h)));
}

static void test_the_self_test_passes(void **state) {
	(void)state;
	assert_null(hll_self_test());
}

/* With random opcodes, every call ends, and stays within the value. */
static void test_a_damaged_value_is_read_within_its_bounds(void **state) {
	uint64_t random = 1234567;
	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		uint8_t registers[HLL_REGISTERS] = {0};
		uint64_t count;
		struct hll h;
		hll_init(&h);
		h.len = HLL_HEADER;
		for (unsigned n = (unsigned)(random % 40); n > 0; n--) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			h.bytes[h.len++] = (uint8_t)(random >> 40 & (round % 2 ? 0xff : 0x7f));
		}
		random = random * 6364136223846793005u + 1442695040888963407u;
		int merged = hll_merge(registers, value_of(&h)), counted = hll_count(value_of(&h), &count);
		assert_true(merged == 0 || merged == ATOMDB_E_FORMAT);
		assert_true(counted == 0 || counted == ATOMDB_E_FORMAT);
		for (unsigned i = 0; i < 20; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			int raised = hll_raise(&h, (unsigned)(random >> 33) % HLL_REGISTERS, 1 + i);
			assert_true(raised == 0 || raised == 1 || raised == ATOMDB_E_FORMAT);
			assert_true(h.len <= HLL_SPARSE_MAX);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_forms_have_the_same_registers),
		cmocka_unit_test(test_a_count_above_32_makes_the_value_dense),
		cmocka_unit_test(test_the_self_test_passes),
		cmocka_unit_test(test_a_damaged_value_is_read_within_its_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
