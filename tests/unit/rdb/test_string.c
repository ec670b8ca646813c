/* Strings as payloads: known ones of redis-server 7.0, round trips of all kinds, and changes of each byte. */
#include "atomdb/rdb/payload.h"
#include "atomdb/rdb/string.h"
#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "harness.h"

static int write_sealed(struct buffer *out, struct slice value) {
	int error = rdb_write_string(out, value);
	return error != 0 ? error : payload_seal(out, 0);
}

static int read_sealed(struct slice bytes, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		       struct slice *value) {
	struct payload payload;
	int error = payload_open(bytes, &payload);
	if (error != 0)
		return error;
	return payload.type != RDB_TYPE_STRING ? ATOMDB_E_SYNTAX
					       : rdb_read_string(payload.value, most, text, room, value);
}

static struct buffer write_payload(struct slice value) {
	struct buffer out;
	buffer_init(&out);
	assert_int_equal(write_sealed(&out, value), 0);
	return out;
}

static void expect_read(struct slice payload, struct slice want) {
	char text[NUMBER_TEXT_MAX];
	struct buffer room;
	struct slice value;
	buffer_init(&room);
	assert_int_equal(read_sealed(payload, SIZE_MAX, text, &room, &value), 0);
	assert_true(slice_equal(value, want));
	buffer_deinit(&room);
}

static void test_known(void **state) {
	static const struct {
		struct slice value, payload;
	} table[] = {
		{SLICE("1"), SLICE("\000\300\001\012\000\046\170\347\266\321\001\021\374")},
		{SLICE("-70000"), SLICE("\000\302\220\356\376\377\012\000\050\165\336\173\023\353\050\000")},
		{SLICE("hello"), SLICE("\000\005\150\145\154\154\157\012\000\143\162\337\166\145\064\040\012")},
		{SLICE("aaaaaaaaaaaaaaaaaaaaa"),
		 SLICE("\000\303\006\025\001\141\141\340\012\000\012\000\375\014\263\150\007\101\077\150")},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buffer out = write_payload(table[i].value);
		assert_int_equal(out.len, table[i].payload.len);
		assert_memory_equal(out.data, table[i].payload.data, out.len);
		expect_read(buffer_slice(&out), table[i].value);
		buffer_deinit(&out);
	}
}

static void test_kinds(void **state) {
	static const char *const texts[] = {"",      "0",      "-1",         "127",         "128",        "-129",
					    "32768", "-32769", "2147483647", "-2147483648", "2147483648", "01",
					    "-0",    "+1",     "1.5",        "99999999999", "text",       "\n"};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buffer out = write_payload(slice_of(texts[i]));
		expect_read(buffer_slice(&out), slice_of(texts[i]));
		buffer_deinit(&out);
	}
	static char large[70000];
	static const size_t lengths[] = {20, 21, 63, 64, 65, 16383, 16384, 69999};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (unsigned kind = 0; kind < 2; kind++) {
			for (size_t k = 0; k < lengths[i]; k++)
				large[k] = (char)(kind ? k * k * 2654435761u >> 11 : 'a' + k % 7);
			struct buffer out = write_payload((struct slice){large, lengths[i]});
			assert_true(kind == 1 || lengths[i] < 60 || out.len < lengths[i]);
			expect_read(buffer_slice(&out), (struct slice){large, lengths[i]});
			buffer_deinit(&out);
		}
}

/* With a correct checksum, each change is read or refused without harm; with a wrong checksum it is always refused. */
static void test_changed_bytes(void **state) {
	static const char *const values[] = {"12345", "hello", "abcabcabcabcabcabcabcabcabcabcabc"};
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct buffer out = write_payload(slice_of(values[i]));
		for (size_t at = 0; at < out.len; at++)
			for (unsigned bits = 1; bits < 256; bits++) {
				char text[NUMBER_TEXT_MAX];
				struct buffer room;
				struct slice value;
				buffer_init(&room);
				out.data[at] = (char)((unsigned char)out.data[at] ^ bits);
				assert_int_equal(read_sealed(buffer_slice(&out), SIZE_MAX, text, &room, &value),
						 ATOMDB_E_FORMAT);
				uint64_t crc = crc64(0, (struct slice){out.data, out.len - 8}), was;
				memcpy(&was, out.data + out.len - 8, 8);
				memcpy(out.data + out.len - 8, &crc, 8);
				int error = read_sealed(buffer_slice(&out), SIZE_MAX, text, &room, &value);
				assert_true(error <= 0);
				memcpy(out.data + out.len - 8, &was, 8);
				out.data[at] = (char)((unsigned char)out.data[at] ^ bits);
				buffer_deinit(&room);
			}
		for (size_t n = 0; n < out.len; n++) {
			char text[NUMBER_TEXT_MAX];
			struct buffer room;
			struct slice value;
			buffer_init(&room);
			assert_int_equal(read_sealed((struct slice){out.data, n}, SIZE_MAX, text, &room, &value),
					 ATOMDB_E_FORMAT);
			buffer_deinit(&room);
		}
		buffer_deinit(&out);
	}
}

static void test_a_compressed_string_larger_than_allowed_is_not_unpacked(void **state) {
	static char text[NUMBER_TEXT_MAX], zeros[100000];
	struct buffer out = write_payload((struct slice){zeros, sizeof(zeros)}), room;
	struct slice value;
	(void)state;
	buffer_init(&room);
	assert_true(out.len < 10000);
	assert_int_equal(read_sealed(buffer_slice(&out), sizeof(zeros) - 1, text, &room, &value), ATOMDB_E_OOM);
	assert_int_equal(room.cap, 0);
	assert_int_equal(read_sealed(buffer_slice(&out), sizeof(zeros), text, &room, &value), 0);
	assert_int_equal(value.len, sizeof(zeros));
	buffer_deinit(&room);
	buffer_deinit(&out);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_a_compressed_string_larger_than_allowed_is_not_unpacked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
