#include "atomdb/util/pack.h"
#include "harness.h"

static void gives_back_what_was_written(void **state) {
	(void)state;
	struct buffer b;
	buffer_init(&b);
	struct pack p = {.out = &b};
	pack_number(&p, UINT64_MAX);
	size_t outer = pack_begin(&p);
	pack_text(&p, "name");
	size_t inner = pack_begin(&p);
	pack_end(&p, inner);
	pack_end(&p, outer);
	pack_text(&p, NULL);
	assert_int_equal(p.error, 0);

	struct unpack u = {.rest = buffer_slice(&b)};
	assert_true(unpack_number(&u) == UINT64_MAX);
	struct unpack run = {.rest = unpack_bytes(&u)};
	assert_true(slice_equal(unpack_bytes(&run), SLICE("name")));
	assert_int_equal(unpack_bytes(&run).len, 0);
	assert_false(run.failed);
	assert_int_equal(run.rest.len, 0);
	assert_int_equal(unpack_bytes(&u).len, 0);
	assert_false(u.failed);
	assert_int_equal(u.rest.len, 0);
	buffer_deinit(&b);
}

static void fails_for_good_where_it_is_cut(void **state) {
	(void)state;
	struct buffer b;
	buffer_init(&b);
	struct pack p = {.out = &b};
	pack_text(&p, "a run of bytes");
	for (size_t n = 0; n < b.len; n++) {
		struct unpack u = {.rest = {b.data, n}};
		assert_int_equal(unpack_bytes(&u).len, 0);
		assert_true(u.failed);
		assert_int_equal(unpack_number(&u), 0);
	}
	/* A length beyond any memory. */
	memset(b.data, 0xff, 8);
	struct unpack u = {.rest = buffer_slice(&b)};
	assert_int_equal(unpack_bytes(&u).len, 0);
	assert_true(u.failed);
	buffer_deinit(&b);
}

static void refuses_numbers_above_their_bound(void **state) {
	(void)state;
	uint64_t number = 16;
	struct unpack u = {.rest = {(const char *)&number, sizeof(number)}};
	struct unpack again = u;
	assert_int_equal(unpack_up_to(&u, 16), 16);
	assert_false(u.failed);
	assert_int_equal(unpack_up_to(&again, 15), 0);
	assert_true(again.failed);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_what_was_written),
		cmocka_unit_test(fails_for_good_where_it_is_cut),
		cmocka_unit_test(refuses_numbers_above_their_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
