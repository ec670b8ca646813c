/* A payload is
 *
 *   type (1 byte, 0: string) | string | version (2 bytes) | CRC of all before (8 bytes)       low bytes first
 *
 * and a string begins with a byte whose two highest bits say what it is: 00, a length of 6 bits; 01, a length of 14
 * bits, continued in the next byte, high byte first; 10, a length in the next 4 (10000000) or 8 bytes (10000001), high
 * bytes first; 11, something else: an integer of 1, 2 or 4 bytes, low bytes first, or LZF: two lengths, compressed and
 * not, and the compressed bytes. */
#include "atomdb/rdb/payload.h"

#include <errno.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/util/crc64.h"
#include "atomdb/util/error.h"
#include "atomdb/util/lzf.h"

#define TYPE_STRING 0
#define VERSION     10 /* Redis 7.0 */
#define FOOTER      10 /* bytes of version and CRC */

#define LENGTH_14 0x40
#define LENGTH_32 0x80
#define LENGTH_64 0x81
#define SPECIAL   0xc0 /* and one of: */
enum special { SPECIAL_INT8, SPECIAL_INT16, SPECIAL_INT32, SPECIAL_LZF };

/* Texts of integers are at most so long; shorter strings are not worth compressing. */
#define INTEGER_TEXT_MAX 11
#define COMPRESSED_MIN   21
/* Bytes that compressing must save. */
#define SAVED_MIN 4
/* Bytes of the longest length, and of all that is not the string itself. */
#define LENGTH_BYTES 5
#define OVERHEAD_MAX (1 + 1 + 2 * LENGTH_BYTES + FOOTER)

static void put(struct buffer *out, const void *bytes, size_t n) {
	if (n != 0)
		memcpy(out->data + out->len, bytes, n);
	out->len += n;
}

static void put_low_first(struct buffer *out, uint64_t value, unsigned bytes) {
	for (unsigned i = 0; i < bytes; i++)
		out->data[out->len++] = (char)(value >> 8 * i & 0xff);
}

static void put_byte(struct buffer *out, unsigned byte) {
	out->data[out->len++] = (char)byte;
}

static void put_length(struct buffer *out, size_t length) {
	if (length < 64) {
		put_byte(out, (unsigned)length);
	} else if (length < 16384) {
		put_byte(out, LENGTH_14 | (unsigned)(length >> 8));
		put_byte(out, length & 0xff);
	} else {
		put_byte(out, LENGTH_32);
		put_low_first(out, __builtin_bswap32((uint32_t)length), 4);
	}
}

static bool put_integer(struct buffer *out, struct slice value) {
	int64_t number;
	if (value.len > INTEGER_TEXT_MAX || !number_parse(value, &number) || number < INT32_MIN || number > INT32_MAX)
		return false;
	enum special kind = number == (int8_t)number    ? SPECIAL_INT8
			    : number == (int16_t)number ? SPECIAL_INT16
							: SPECIAL_INT32;
	put_byte(out, SPECIAL | kind);
	put_low_first(out, (uint64_t)number, 1u << kind);
	return true;
}

/* Compresses to where the string would go, behind the place of the longest head, and moves it up. */
static bool put_compressed(struct buffer *out, struct slice value) {
	if (value.len < COMPRESSED_MIN)
		return false;
	char *place = out->data + out->len + 1 + 2 * LENGTH_BYTES;
	size_t n = lzf_compress(value, place, value.len - SAVED_MIN);
	if (n == 0)
		return false;
	put_byte(out, SPECIAL | SPECIAL_LZF);
	put_length(out, n);
	put_length(out, value.len);
	memmove(out->data + out->len, place, n);
	out->len += n;
	return true;
}

int payload_write(struct buffer *out, struct slice value) {
	if (buffer_reserve(out, value.len + OVERHEAD_MAX, SIZE_MAX) != 0)
		return -ENOMEM;
	size_t start = out->len;
	put_byte(out, TYPE_STRING);
	if (!put_integer(out, value) && !put_compressed(out, value)) {
		put_length(out, value.len);
		put(out, value.data, value.len);
	}
	put_low_first(out, VERSION, 2);
	put_low_first(out, crc64(0, (struct slice){out->data + start, out->len - start}), 8);
	return 0;
}

/* What is left to read. */
struct cursor {
	const unsigned char *p;
	size_t left;
};

/* Takes `n` bytes, at most 8, as a number. */
static bool take(struct cursor *c, unsigned n, bool low_first, uint64_t *value) {
	uint64_t v = 0;
	if (c->left < n)
		return false;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)c->p[i] << 8 * (low_first ? i : n - 1 - i);
	c->p += n;
	c->left -= n;
	*value = v;
	return true;
}

/* Takes a length, or, with `*special`, what is instead of one. */
static bool take_length(struct cursor *c, uint64_t *value, bool *special) {
	uint64_t first, more;
	if (!take(c, 1, true, &first))
		return false;
	*special = first >= SPECIAL;
	if (*special) {
		*value = first - SPECIAL;
		return true;
	}
	if (first == LENGTH_32)
		return take(c, 4, false, value);
	if (first == LENGTH_64)
		return take(c, 8, false, value);
	if (first > LENGTH_64)
		return false;
	if (first < LENGTH_14) {
		*value = first;
		return true;
	}
	if (!take(c, 1, true, &more))
		return false;
	*value = (first - LENGTH_14) << 8 | more;
	return true;
}

static bool take_bytes(struct cursor *c, uint64_t n, struct slice *bytes) {
	if (n > c->left)
		return false;
	*bytes = (struct slice){(const char *)c->p, n};
	c->p += n;
	c->left -= n;
	return true;
}

static int take_compressed(struct cursor *c, size_t most, struct buffer *room, struct slice *value) {
	uint64_t length, full;
	bool special, special_too;
	struct slice bytes;
	if (!take_length(c, &length, &special) || !take_length(c, &full, &special_too) || special || special_too ||
	    !take_bytes(c, length, &bytes) || full == 0 || full > KEYSPACE_VALUE_MAX ||
	    full > bytes.len * LZF_RATIO_MAX)
		return ATOMDB_E_SYNTAX;
	if (full > most)
		return ATOMDB_E_OOM;
	if (buffer_reserve(room, full, SIZE_MAX) != 0)
		return -ENOMEM;
	if (!lzf_expand(bytes, room->data, full))
		return ATOMDB_E_SYNTAX;
	room->len = full;
	*value = buffer_slice(room);
	return 0;
}

static int take_string(struct cursor *c, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		       struct slice *value) {
	uint64_t length, bits;
	bool special;
	if (!take_length(c, &length, &special))
		return ATOMDB_E_SYNTAX;
	if (!special)
		return length <= KEYSPACE_VALUE_MAX && take_bytes(c, length, value) ? 0 : ATOMDB_E_SYNTAX;
	if (length == SPECIAL_LZF)
		return take_compressed(c, most, room, value);
	if (length > SPECIAL_INT32 || !take(c, 1u << length, true, &bits))
		return ATOMDB_E_SYNTAX;
	int64_t number = length == SPECIAL_INT8    ? (int8_t)bits
			 : length == SPECIAL_INT16 ? (int16_t)bits
						   : (int32_t)bits;
	*value = (struct slice){text, number_format(number, text)};
	return 0;
}

int payload_read(struct slice payload, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		 struct slice *value) {
	if (payload.len < FOOTER)
		return ATOMDB_E_FORMAT;
	struct cursor footer = {(const unsigned char *)payload.data + payload.len - FOOTER, FOOTER};
	uint64_t version = 0, crc = 0, type;
	take(&footer, 2, true, &version);
	take(&footer, 8, true, &crc);
	if (version > VERSION || crc64(0, (struct slice){payload.data, payload.len - 8}) != crc)
		return ATOMDB_E_FORMAT;
	struct cursor body = {(const unsigned char *)payload.data, payload.len - FOOTER};
	struct slice found;
	if (!take(&body, 1, true, &type) || type != TYPE_STRING)
		return ATOMDB_E_SYNTAX;
	int error = take_string(&body, most, text, room, &found);
	if (error == 0 && body.left != 0)
		error = ATOMDB_E_SYNTAX;
	if (error == 0)
		*value = found;
	return error;
}
