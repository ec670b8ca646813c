#include "rdb/writer.h"

#include "atomdb/util/fiber.h"
#include "atomdb/util/lzf.h"
#include "atomdb/util/number.h"

/* Maximum length of the text of an integer. Shorter strings are not worth compressing. */
#define INTEGER_TEXT_MAX 11
#define COMPRESSED_MIN   21
/* Bytes that compression must save. */
#define SAVED_MIN 4

static void put(struct buffer *out, const void *bytes, size_t n) {
	if (n != 0)
		fiber_copy(out->data + out->len, bytes, n);
	out->len += n;
}

void rdb_put_low_first(struct buffer *out, uint64_t value, unsigned bytes) {
	for (unsigned i = 0; i < bytes; i++)
		out->data[out->len++] = (char)(value >> 8 * i & 0xff);
}

void rdb_put_byte(struct buffer *out, unsigned byte) {
	out->data[out->len++] = (char)byte;
}

static void put_length(struct buffer *out, size_t length) {
	if (length < 64) {
		rdb_put_byte(out, (unsigned)length);
	} else if (length < 16384) {
		rdb_put_byte(out, RDB_LENGTH_14 | (unsigned)(length >> 8));
		rdb_put_byte(out, length & 0xff);
	} else {
		rdb_put_byte(out, RDB_LENGTH_32);
		rdb_put_low_first(out, __builtin_bswap32((uint32_t)length), 4);
	}
}

static bool put_integer(struct buffer *out, struct slice value) {
	int64_t number;
	if (value.len > INTEGER_TEXT_MAX || !number_parse(value, &number) || number < INT32_MIN || number > INT32_MAX)
		return false;
	enum rdb_special kind = number == (int8_t)number ? RDB_INT8 : number == (int16_t)number ? RDB_INT16 : RDB_INT32;
	rdb_put_byte(out, RDB_SPECIAL | kind);
	rdb_put_low_first(out, (uint64_t)number, 1u << kind);
	return true;
}

/* Compresses the string into the buffer, after room for the longest header, then moves the result to its header. */
static bool put_compressed(struct buffer *out, struct slice value) {
	if (value.len < COMPRESSED_MIN)
		return false;
	char *place = out->data + out->len + 1 + 2 * RDB_LENGTH_BYTES;
	size_t n = lzf_compress(value, place, value.len - SAVED_MIN);
	if (n == 0)
		return false;
	rdb_put_byte(out, RDB_SPECIAL | RDB_LZF);
	put_length(out, n);
	put_length(out, value.len);
	memmove(out->data + out->len, place, n);
	out->len += n;
	return true;
}

void rdb_put_string(struct buffer *out, struct slice value) {
	if (put_integer(out, value) || put_compressed(out, value))
		return;
	put_length(out, value.len);
	put(out, value.data, value.len);
}
