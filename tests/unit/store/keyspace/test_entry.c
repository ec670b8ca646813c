#include <string.h>

#include "harness.h"
#include "store/keyspace/entry.h"

static void test_owner(void **state) {
	(void)state;
	struct entry e = {0};

	e.owner = entry_owner(ENTRY_TENANT_MAX, 15, ENTRY_TTL | 8);
	assert_int_equal(entry_tenant(&e), ENTRY_TENANT_MAX);
	assert_int_equal(entry_database(&e), 15);
	assert_int_equal(entry_flags(&e), ENTRY_TTL | 8);
	assert_true(entry_has(&e, ENTRY_TTL));
	assert_false(entry_is_tagged(&e));
	e.owner = entry_owner(1, 0, 0);
	assert_int_equal(e.owner, 1);
}

static void test_layout(void **state) {
	(void)state;
	/* The sizes that determine the memory per key. */
	assert_int_equal(entry_header_size(0) + 16 + 32, 64);
	assert_int_equal(entry_header_size(ENTRY_TTL) + 16 + 32, 80);
	assert_int_equal(arena_block_size(entry_header_size(0) + 16 + 32), 64);

	for (unsigned flags = 0; flags < 4; flags++) {
		_Alignas(16) char block[6000];
		struct entry *e = (void *)block;
		size_t key_len = flags & ENTRY_WIDE ? 300 : 127, value_len = flags & ENTRY_WIDE ? 5000 : 255;

		memset(block, 0, sizeof block);
		e->owner = entry_owner(7, 2, flags);
		if (flags & ENTRY_WIDE)
			*entry_wide(e) = (struct block_wide){(uint32_t)key_len, (uint32_t)value_len};
		else
			e->sizes = (uint32_t)(key_len | value_len << 8);
		if (flags & ENTRY_TTL)
			entry_ttl(e)->deadline = 123456789012;
		assert_int_equal(entry_deadline(e), flags & ENTRY_TTL ? 123456789012 : 0);
		assert_ptr_equal(entry_key(e).data, block + entry_header_size(flags));
		assert_int_equal(entry_key(e).len, key_len);
		assert_ptr_equal(entry_stored(e).data, entry_key(e).data + key_len);
		assert_int_equal(entry_stored(e).len, value_len);
		assert_int_equal(entry_size(e), entry_header_size(flags) + key_len + value_len);
	}
}

static void test_empty(void **state) {
	(void)state;
	struct entry e = {.owner = entry_owner(1, 0, 0)};

	assert_int_equal(entry_key(&e).len, 0);
	assert_int_equal(entry_stored(&e).len, 0);
	assert_int_equal(entry_size(&e), sizeof e);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
