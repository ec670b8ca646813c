#include "rdb/reader.h"

#include <errno.h>

#include "atomdb/rdb/string.h"
#include "atomdb/util/error.h"
#include "atomdb/util/lzf.h"
#include "rdb/encoding.h"

bool rdb_take(struct rdb_reader *c, unsigned n, bool low_first, uint64_t *value) {
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

/* Reads a length. If the value has another form instead, sets `*special` and reads that form. */
static bool take_length(struct rdb_reader *c, uint64_t *value, bool *special) {
	uint64_t first, more;
	if (!rdb_take(c, 1, true, &first))
		return false;
	*special = first >= RDB_SPECIAL;
	if (*special) {
		*value = first - RDB_SPECIAL;
		return true;
	}
	if (first == RDB_LENGTH_32)
		return rdb_take(c, 4, false, value);
	if (first == RDB_LENGTH_64)
		return rdb_take(c, 8, false, value);
	if (first > RDB_LENGTH_64)
		return false;
	if (first < RDB_LENGTH_14) {
		*value = first;
		return true;
	}
	if (!rdb_take(c, 1, true, &more))
		return false;
	*value = (first - RDB_LENGTH_14) << 8 | more;
	return true;
}

static bool take_bytes(struct rdb_reader *c, uint64_t n, struct slice *bytes) {
	if (n > c->left)
		return false;
	*bytes = (struct slice){(const char *)c->p, n};
	c->p += n;
	c->left -= n;
	return true;
}

static int take_compressed(struct rdb_reader *c, size_t most, struct buffer *room, struct slice *value) {
	uint64_t length, full;
	bool special, special_too;
	struct slice bytes;
	if (!take_length(c, &length, &special) || !take_length(c, &full, &special_too) || special || special_too ||
	    !take_bytes(c, length, &bytes) || full == 0 || full > RDB_STRING_MAX || full > bytes.len * LZF_RATIO_MAX)
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

int rdb_take_string(struct rdb_reader *c, size_t most, char text[NUMBER_TEXT_MAX], struct buffer *room,
		    struct slice *value) {
	uint64_t length, bits;
	bool special;
	if (!take_length(c, &length, &special))
		return ATOMDB_E_SYNTAX;
	if (!special)
		return length <= RDB_STRING_MAX && take_bytes(c, length, value) ? 0 : ATOMDB_E_SYNTAX;
	if (length == RDB_LZF)
		return take_compressed(c, most, room, value);
	if (length > RDB_INT32 || !rdb_take(c, 1u << length, true, &bits))
		return ATOMDB_E_SYNTAX;
	int64_t number = length == RDB_INT8 ? (int8_t)bits : length == RDB_INT16 ? (int16_t)bits : (int32_t)bits;
	*value = (struct slice){text, number_format(number, text)};
	return 0;
}
