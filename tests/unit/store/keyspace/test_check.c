#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "store/keyspace/check.h"
#include "store/random.h"

#define SIZE 6000

static uint64_t random_state;

static uint64_t draw(uint64_t below) {
	return random_next(&random_state) % below;
}

/* Computes the sum by its definition, byte by byte. */
static uint8_t slow_check(const struct entry *e) {
	unsigned char bytes[SIZE + 16];
	size_t size = (entry_size(e) + 15) / 16 * 16;
	memcpy(bytes, e, size);
	uint32_t first[4] = {e->owner & ENTRY_OWNER, entry_has(e, ENTRY_WIDE) ? 0 : e->sizes & 0xff7f};
	memcpy(bytes, first, sizeof first);
	if (entry_has(e, ENTRY_TTL))
		memset(bytes + 24, 0, 8);
	unsigned sum = 0xa5, weight = 1;
	for (size_t i = 0; i < size; i++) {
		sum += bytes[i] * weight * (i % 16 == 15 ? 33 : 2 * ((unsigned)i % 16) + 1);
		if (i % 16 == 15)
			weight = weight * 5 % 256;
	}
	return (uint8_t)sum;
}

static struct entry *make(void *block, unsigned flags) {
	struct entry *e = block;
	bool wide = flags & ENTRY_WIDE;
	size_t key = draw(wide ? 400 : 128), value = draw(wide ? 5000 : 256);
	for (size_t i = 0; i < SIZE; i++)
		((char *)block)[i] = (char)draw(256);
	e->owner = entry_owner(1 + (uint32_t)draw(ENTRY_TENANT_MAX), (unsigned)draw(16), flags);
	e->sizes = (uint32_t)(draw(4096) << ENTRY_USED_SHIFT | key | value << ENTRY_VALUE_SHIFT);
	if (wide)
		*entry_wide(e) = (struct block_wide){(uint32_t)key, (uint32_t)value};
	check_renew(e);
	return e;
}

static void test_the_check_is_the_sum_of_its_definition(void **state) {
	(void)state;
	_Alignas(16) static char block[SIZE];
	for (unsigned i = 0; i < 2000; i++) {
		struct entry *e = make(block, i % 4);
		uint32_t owner = e->owner, sizes = e->sizes;
		assert_int_equal(entry_check(e), slow_check(e));
		assert_true(check_fits(e));
		/* The check takes no bits from the other parts of these words. */
		check_renew(e);
		assert_int_equal(e->owner, owner);
		assert_int_equal(e->sizes, sizes);
		/* Changes the parts that the use of an entry changes. */
		entry_set_used(e, (uint32_t)draw(4096) << ENTRY_USED_SHIFT);
		e->owner ^= ENTRY_FRESH;
		e->lru_prev = (ref)draw(UINT32_MAX);
		e->lru_next = (ref)draw(UINT32_MAX);
		if (i % 4 & ENTRY_TTL)
			entry_ttl(e)->wheel_next = (ref)draw(UINT32_MAX);
		assert_true(check_fits(e));
	}
}

static void test_a_change_of_any_byte_is_detected(void **state) {
	(void)state;
	_Alignas(16) static char block[SIZE];
	for (unsigned i = 0; i < 40; i++) {
		unsigned flags = i % 4;
		struct entry *e = make(block, flags);
		size_t size = entry_size(e);
		for (size_t at = sizeof *e; at < size; at++) {
			/* Leaves out the links of the wheel, and the lengths, which recovery compares with the block.
			 */
			if ((flags & ENTRY_TTL && at >= 24 && at < 32) ||
			    (flags & ENTRY_WIDE && at + sizeof(struct block_wide) >= entry_header_size(flags) &&
			     at < entry_header_size(flags)))
				continue;
			char was = block[at];
			block[at] ^= (char)(1 + draw(255));
			assert_false(check_fits(e));
			block[at] = was;
		}
		for (unsigned bit = 0; bit < 24; bit++) {
			e->owner ^= 1u << bit;
			assert_false(check_fits(e));
			e->owner ^= 1u << bit;
		}
	}
}

/* The check of random bytes fits in 1 of 256 cases. */
static void test_random_bytes_fit_in_one_of_256_cases(void **state) {
	(void)state;
	_Alignas(16) static char block[SIZE];
	unsigned missed = 0, rounds = 20000;
	for (unsigned i = 0; i < rounds; i++) {
		struct entry *e = make(block, 0);
		struct slice stored = entry_stored(e);
		for (size_t at = 0; at < stored.len; at++)
			((char *)(uintptr_t)stored.data)[at] = (char)draw(256);
		missed += stored.len > 1 && check_fits(e);
	}
	assert_in_range(missed, rounds / 256 / 2, rounds / 256 * 2);
}

int main(void) {
	random_state = random_seed();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_check_is_the_sum_of_its_definition),
		cmocka_unit_test(test_a_change_of_any_byte_is_detected),
		cmocka_unit_test(test_random_bytes_fit_in_one_of_256_cases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
