#include <stdlib.h>

#include "atomdb/util/error.h"
#include "atomdb/util/serialize.h"
#include "harness.h"

enum flag { RED = 1, BLUE = 4 };

struct thing {
	uint64_t size, weight, flags;
	struct slice name, parts;
};

static const struct field fields[] = {
	{"size", FIELD_NUMBER, offsetof(struct thing, size), 1000, 10},
	{"weight", FIELD_NUMBER, offsetof(struct thing, weight), UINT64_MAX, 0},
	{"red", FIELD_FLAG, offsetof(struct thing, flags), RED, 0},
	{"blue", FIELD_FLAG, offsetof(struct thing, flags), BLUE, 0},
	{"name", FIELD_BYTES, offsetof(struct thing, name), 8, 0},
	{"parts", FIELD_BYTES, offsetof(struct thing, parts), SIZE_MAX, 0},
};
#define COUNT (sizeof(fields) / sizeof(fields[0]))

static const struct thing whole = {
	.size = 0, .weight = UINT64_MAX, .flags = BLUE, .name = {"chair", 5}, .parts = {"", 0}};

static struct buffer written(const struct thing *t, const struct field *rows, size_t count) {
	struct buffer b;
	buffer_init(&b);
	struct serializer s = {.out = &b};
	serialize_record(&s, rows, count, t);
	assert_int_equal(s.error, 0);
	return b;
}

static void a_record_is_read_as_it_was_written(void **state) {
	struct buffer b = written(&whole, fields, COUNT);
	struct thing t;
	(void)state;
	assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), 0);
	assert_int_equal(t.size, 0);
	assert_true(t.weight == UINT64_MAX);
	assert_int_equal(t.flags, BLUE);
	assert_true(slice_equal(t.name, SLICE("chair")));
	/* An empty value differs from a missing one. */
	assert_int_equal(t.parts.len, 0);
	assert_non_null(t.parts.data);
	buffer_deinit(&b);
}

static void defaults_are_not_written_and_missing_fields_have_them(void **state) {
	const struct thing plain = {.size = 10};
	struct buffer b = written(&plain, fields, COUNT);
	struct thing t = whole;
	(void)state;
	assert_int_equal(b.len, 0);
	assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), 0);
	assert_int_equal(t.size, 10);
	assert_int_equal(t.weight, 0);
	assert_int_equal(t.flags, 0);
	assert_null(t.name.data);
	assert_null(t.parts.data);
	buffer_deinit(&b);
}

/* For each field, two releases of which only one knows the field. The other release writes, then reads. */
static void releases_that_differ_by_a_field_read_each_other(void **state) {
	(void)state;
	for (size_t missing = 0; missing < COUNT; missing++) {
		struct field fewer[COUNT - 1];
		struct thing upgraded, downgraded;
		for (size_t i = 0, n = 0; i < COUNT; i++)
			if (i != missing)
				fewer[n++] = fields[i];
		struct buffer by_newer = written(&whole, fields, COUNT);
		struct buffer by_older = written(&whole, fewer, COUNT - 1);
		memset(&downgraded, 0, sizeof(downgraded));
		assert_int_equal(deserialize_record(buffer_slice(&by_newer), fewer, COUNT - 1, &downgraded), 0);
		assert_int_equal(deserialize_record(buffer_slice(&by_older), fields, COUNT, &upgraded), 0);
		assert_int_equal(upgraded.size, missing == 0 ? 10 : 0);
		assert_true(upgraded.weight == (missing == 1 ? 0 : UINT64_MAX));
		assert_true(downgraded.weight == upgraded.weight);
		assert_int_equal(upgraded.flags, missing == 3 ? 0 : BLUE);
		assert_int_equal(downgraded.flags, upgraded.flags);
		assert_true(slice_equal(upgraded.name, missing == 4 ? SLICE("") : SLICE("chair")));
		assert_true(slice_equal(downgraded.name, upgraded.name));
		buffer_deinit(&by_newer);
		buffer_deinit(&by_older);
	}
}

static void an_unknown_required_field_is_rejected(void **state) {
	struct buffer b = written(&whole, fields, COUNT);
	struct serializer s = {.out = &b};
	struct thing t;
	(void)state;
	serialize_number(&s, "more", 1);
	serialize_bytes(&s, "", SLICE("no name"));
	assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), 0);
	serialize_number(&s, "!more", 1);
	assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), ATOMDB_E_VERSION);
	buffer_deinit(&b);
}

static void a_duplicate_field_is_rejected(void **state) {
	struct thing t;
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		const struct thing all = {1, 1, RED | BLUE, SLICE("a"), SLICE("b")};
		struct buffer b = written(&all, fields, COUNT);
		struct serializer s = {.out = &b};
		assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), 0);
		serialize_record(&s, &fields[i], 1, &all);
		assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), ATOMDB_E_FORMAT);
		buffer_deinit(&b);
	}
}

static void values_out_of_bounds_or_of_another_kind_are_refused(void **state) {
	struct thing t;
	struct buffer b;
	struct serializer s = {.out = &b};
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		buffer_init(&b);
		switch (i) {
		case 0:
			serialize_number(&s, "size", 1001);
			break;
		case 1:
			serialize_bytes(&s, "size", SLICE("1234567"));
			break;
		case 2:
			serialize_bytes(&s, "size", SLICE(""));
			break;
		case 3:
			serialize_number(&s, "red", 1);
			break;
		default:
			serialize_bytes(&s, "name", SLICE("123456789"));
			break;
		}
		assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), ATOMDB_E_FORMAT);
		buffer_deinit(&b);
	}
}

/* A record that is cut between two fields is a shorter valid record. */
static void a_record_that_is_cut_in_a_field_is_refused(void **state) {
	struct buffer b = written(&whole, fields, COUNT);
	struct thing t;
	unsigned ends = 0;
	(void)state;
	for (size_t n = 0; n < b.len; n++) {
		/* Allocates the exact size, so that AddressSanitizer detects a read beyond the end. */
		char *copy = malloc(n);
		if (n > 0)
			memcpy(copy, b.data, n);
		int error = deserialize_record((struct slice){copy, n}, fields, COUNT, &t);
		assert_true(error == 0 || error == ATOMDB_E_FORMAT);
		ends += error == 0;
		free(copy);
	}
	assert_int_equal(ends, 5);
	/* A length that exceeds any memory. */
	memset(b.data + 5, 0xff, 8);
	assert_int_equal(deserialize_record(buffer_slice(&b), fields, COUNT, &t), ATOMDB_E_FORMAT);
	buffer_deinit(&b);
}

static void lists_nest_and_are_read_in_order(void **state) {
	struct buffer b;
	buffer_init(&b);
	struct serializer s = {.out = &b};
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		size_t begin = serialize_begin(&s, SERIALIZE_ELEMENT);
		for (unsigned k = 0; k < i; k++) {
			size_t inner = serialize_begin(&s, SERIALIZE_ELEMENT);
			serialize_piece(&s, SLICE("x"));
			serialize_piece(&s, (struct slice){"abc", k});
			serialize_end(&s, inner);
		}
		serialize_end(&s, begin);
	}
	struct slice list = buffer_slice(&b), inner, text;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(deserialize_element(&list, &inner), 1);
		for (unsigned k = 0; k < i; k++) {
			assert_int_equal(deserialize_element(&inner, &text), 1);
			assert_int_equal(text.len, k + 1);
		}
		assert_int_equal(deserialize_element(&inner, &text), 0);
	}
	assert_int_equal(deserialize_element(&list, &inner), 0);
	/* An element of a list has no name and must be complete. */
	list = (struct slice){b.data, 5};
	assert_int_equal(deserialize_element(&list, &inner), ATOMDB_E_FORMAT);
	b.len = 0;
	serialize_number(&s, "name", 1);
	list = buffer_slice(&b);
	assert_int_equal(deserialize_element(&list, &inner), ATOMDB_E_FORMAT);
	buffer_deinit(&b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_read_as_it_was_written),
		cmocka_unit_test(defaults_are_not_written_and_missing_fields_have_them),
		cmocka_unit_test(releases_that_differ_by_a_field_read_each_other),
		cmocka_unit_test(an_unknown_required_field_is_rejected),
		cmocka_unit_test(a_duplicate_field_is_rejected),
		cmocka_unit_test(values_out_of_bounds_or_of_another_kind_are_refused),
		cmocka_unit_test(a_record_that_is_cut_in_a_field_is_refused),
		cmocka_unit_test(lists_nest_and_are_read_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
