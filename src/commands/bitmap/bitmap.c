/* Commands for strings as arrays of bits. Bit 0 is the highest bit of the first byte. */
#include "commands/bitmap/bitmap.h"

#include "atomdb/session/range.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/error.h"

bool request_bit_offset(struct session *s, struct slice text, unsigned width, uint64_t *offset) {
	int64_t value;
	bool counted =
		width != 0 && text.len != 0 && text.data[0] == '#'; /* counted in integers of that width, not in bits */
	if (counted)
		text = (struct slice){text.data + 1, text.len - 1};
	if (number_parse(text, &value)) {
		if (counted)
			value = (int64_t)((uint64_t)value * width);
		if (value >= 0 && (uint64_t)value < BITS_MAX) {
			*offset = (uint64_t)value;
			return true;
		}
	}
	writer_error(s->reply, "ERR bit offset is not an integer or out of range");
	return false;
}

enum outcome cmd_setbit(struct session *s, const struct request *r) {
	uint64_t offset;
	int64_t bit;
	if (!request_bit_offset(s, r->argv[2], 0, &offset))
		return OUTCOME_DONE;
	if (!number_parse(r->argv[3], &bit) || (bit != 0 && bit != 1))
		return reply_error(s, "ERR bit is not an integer or out of range");
	struct key key;
	struct string *old;
	if (!request_string(s, r, 1, LOOKUP_WRITE, &key, &old))
		return OUTCOME_DONE;
	char text[STRING_TEXT], *bytes;
	struct slice value = string_value_or_empty(old, text);
	size_t at = offset / 8;
	unsigned shift = 7 - offset % 8;
	unsigned byte = at < value.len ? (unsigned char)value.data[at] : 0;
	unsigned before = byte >> shift & 1;
	/* Writing the same bit is no write, but it makes the encoding raw, as in Redis. */
	bool same = at < value.len && before == (unsigned)bit;
	int error = same ? string_make_raw(s->tenant, &key, old)
			 : string_resize(s->tenant, &key, old, at < value.len ? value.len : at + 1,
					 (struct span){at, 1}, &bytes);
	if (error < 0)
		return reply_store_error(s, error);
	writer_integer(s->reply, before);
	if (same)
		return OUTCOME_DONE;
	bytes[at] = (char)((byte & ~(1u << shift)) | (unsigned)bit << shift);
	keyspace_commit(s->tenant->shard);
	keyspace_event(s, NOTIFY_STRING, "setbit", &key);
	return OUTCOME_DONE;
}

enum outcome cmd_getbit(struct session *s, const struct request *r) {
	uint64_t offset;
	if (!request_bit_offset(s, r->argv[2], 0, &offset))
		return OUTCOME_DONE;
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	char text[STRING_TEXT];
	struct slice value = string_value_or_empty(e, text);
	bool set = offset / 8 < value.len && ((unsigned char)value.data[offset / 8] >> (7 - offset % 8) & 1);
	writer_integer(s->reply, set);
	return OUTCOME_DONE;
}

/* Bytes that are read or changed between two check points. */
#define CHECK_BYTES ((size_t)64 << 10)

/* Bits that are 1 in a few bytes. */
static uint64_t count_piece(struct slice bytes) {
	uint64_t count = 0, word;
	size_t i = 0;
	for (; i + sizeof(word) <= bytes.len; i += sizeof(word)) {
		memcpy(&word, bytes.data + i, sizeof(word));
		count += (unsigned)__builtin_popcountll(word);
	}
	for (; i < bytes.len; i++)
		count += (unsigned)__builtin_popcount((unsigned char)bytes.data[i]);
	return count;
}

static uint64_t count_bytes(struct slice bytes) {
	uint64_t count = 0;
	for (; bytes.len > CHECK_BYTES && !fiber_check(); bytes.data += CHECK_BYTES, bytes.len -= CHECK_BYTES)
		count += count_piece((struct slice){bytes.data, CHECK_BYTES});
	return count + count_piece(bytes);
}

/* Counts the bits that are 1, from bit `first` to bit `last`. */
static uint64_t count_bits(struct slice value, uint64_t first, uint64_t last) {
	size_t from = first / 8, to = last / 8;
	uint64_t count = count_bytes((struct slice){value.data + from, to - from + 1});
	unsigned before = (unsigned char)value.data[from] & ~(0xffu >> first % 8);
	unsigned behind = (unsigned char)value.data[to] & (0xffu >> (last % 8 + 1));
	return count - (unsigned)__builtin_popcount(before) - (unsigned)__builtin_popcount(behind);
}

/* Reads BYTE or BIT. */
static bool parse_unit(struct slice text, bool *bits) {
	*bits = slice_is(text, "BIT");
	return *bits || slice_is(text, "BYTE");
}

enum outcome cmd_bitcount(struct session *s, const struct request *r) {
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	char text[STRING_TEXT];
	struct slice value = string_value_or_empty(e, text);
	int64_t start = 0, end = -1;
	bool bits = false;
	/* As in Redis, the other arguments are not read if there is no such key. */
	if (e == NULL) {
		writer_integer(s->reply, 0);
		return OUTCOME_DONE;
	}
	if (r->argc == 3 || r->argc > 5)
		return reply_syntax_error(s);
	if (r->argc > 3) {
		if (!request_integer(s, r->argv[2], &start) || !request_integer(s, r->argv[3], &end))
			return OUTCOME_DONE;
		if (range_backwards(start, end)) {
			writer_integer(s->reply, 0);
			return OUTCOME_DONE;
		}
		if (r->argc == 5 && !parse_unit(r->argv[4], &bits))
			return reply_syntax_error(s);
	}
	uint64_t count = 0;
	if (range_resolve((int64_t)value.len * (bits ? 8 : 1), &start, &end)) {
		uint64_t first = (uint64_t)start, last = (uint64_t)end;
		count = bits ? count_bits(value, first, last) : count_bits(value, first * 8, last * 8 + 7);
	}
	writer_integer(s->reply, (int64_t)count);
	return OUTCOME_DONE;
}

/* Returns the first bit from `first` to `last`, which are not far from each other, that is `bit`, or -1. */
static int64_t find_in_piece(struct slice value, uint64_t first, uint64_t last, bool bit) {
	const unsigned char *bytes = (const unsigned char *)value.data;
	uint64_t none = bit ? 0 : UINT64_MAX, word;
	uint64_t at = first / 8;
	for (unsigned mask = 0xffu >> first % 8; at <= last / 8; at++, mask = 0xff) {
		while (mask == 0xff && at + sizeof(word) <= last / 8 &&
		       (memcpy(&word, bytes + at, sizeof(word)), word == none))
			at += sizeof(word);
		unsigned candidates = (bit ? bytes[at] : ~(unsigned)bytes[at]) & mask;
		if (candidates == 0)
			continue;
		uint64_t found = at * 8 + (unsigned)__builtin_clz(candidates) - 24;
		return found <= last ? (int64_t)found : -1;
	}
	return -1;
}

/* The same for any range. */
static int64_t find_bit(struct slice value, uint64_t first, uint64_t last, bool bit) {
	int64_t found = -1;
	for (uint64_t end; found < 0 && first <= last; first = end + 1) {
		end = (first | (CHECK_BYTES * 8 - 1)) < last ? first | (CHECK_BYTES * 8 - 1) : last;
		found = find_in_piece(value, first, end, bit);
		if (fiber_check())
			break;
	}
	return found;
}

enum outcome cmd_bitpos(struct session *s, const struct request *r) {
	int64_t bit, start = 0, end = -1;
	bool bits = false;
	if (!request_integer(s, r->argv[2], &bit))
		return OUTCOME_DONE;
	if (bit != 0 && bit != 1)
		return reply_error(s, "ERR The bit argument must be 1 or 0.");
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	char text[STRING_TEXT];
	struct slice value = string_value_or_empty(e, text);
	if (e == NULL) {
		writer_integer(s->reply, bit ? -1 : 0);
		return OUTCOME_DONE;
	}
	if (r->argc > 6)
		return reply_syntax_error(s);
	if (r->argc > 3 && !request_integer(s, r->argv[3], &start))
		return OUTCOME_DONE;
	if (r->argc == 6 && !parse_unit(r->argv[5], &bits))
		return reply_syntax_error(s);
	if (r->argc > 4 && !request_integer(s, r->argv[4], &end))
		return OUTCOME_DONE;
	int64_t found = -1;
	if (range_resolve((int64_t)value.len * (bits ? 8 : 1), &start, &end)) {
		uint64_t first = (uint64_t)start, last = (uint64_t)end;
		found = bits ? find_bit(value, first, last, bit) : find_bit(value, first * 8, last * 8 + 7, bit);
		/* Without an end of the range, zeros follow the value. */
		if (found < 0 && bit == 0 && r->argc < 5)
			found = (int64_t)value.len * 8;
	}
	writer_integer(s->reply, found);
	return OUTCOME_DONE;
}

enum operation { OPERATION_AND, OPERATION_OR, OPERATION_XOR, OPERATION_NOT, OPERATIONS };

static enum operation parse_operation(struct slice text) {
	static const char *const names[] = {"AND", "OR", "XOR", "NOT"};
	unsigned i = 0;
	while (i < OPERATIONS && !slice_is(text, names[i]))
		i++;
	return (enum operation)i;
}

/* Combines a few bytes, `n`, of `value`, which go on as zeros, into `result`. */
static void combine_piece(enum operation operation, char *result, size_t n, struct slice value) {
	size_t both = value.len < n ? value.len : n;
	switch (operation) {
	case OPERATION_AND:
		for (size_t i = 0; i < both; i++)
			result[i] &= value.data[i];
		memset(result + both, 0, n - both);
		break;
	case OPERATION_OR:
		for (size_t i = 0; i < both; i++)
			result[i] |= value.data[i];
		break;
	case OPERATION_XOR:
		for (size_t i = 0; i < both; i++)
			result[i] ^= value.data[i];
		break;
	default:
		for (size_t i = 0; i < both; i++)
			result[i] = (char)~value.data[i];
	}
}

static void combine(enum operation operation, char *result, size_t n, struct slice value) {
	while (n > CHECK_BYTES) {
		struct slice piece = {value.data, value.len < CHECK_BYTES ? value.len : CHECK_BYTES};
		combine_piece(operation, result, CHECK_BYTES, piece);
		(void)fiber_check();
		result += CHECK_BYTES;
		n -= CHECK_BYTES;
		value.data += piece.len;
		value.len -= piece.len;
	}
	combine_piece(operation, result, n, value);
}

enum outcome cmd_bitop(struct session *s, const struct request *r) {
	enum operation operation = parse_operation(r->argv[1]);
	if (operation == OPERATIONS)
		return reply_syntax_error(s);
	if (operation == OPERATION_NOT && r->argc != 4)
		return reply_error(s, "ERR BITOP NOT must be called with a single source key.");
	struct buffer *result = &s->env->scratch;
	char text[STRING_TEXT];
	size_t longest = 0, work = 0;
	for (uint32_t i = 3; i < r->argc; i++) {
		struct key source;
		struct string *e;
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (!request_string(s, r, i, LOOKUP_READ, &source, &e))
			return OUTCOME_DONE;
		size_t length = string_value_or_empty(e, text).len;
		longest = length > longest ? length : longest;
	}
	if (longest != 0 &&
	    (longest > tenant_scratch_limit(s->tenant) || buffer_reserve(result, longest, SIZE_MAX) != 0))
		return reply_store_error(s, ATOMDB_E_OOM);
	result->len = longest;
	for (uint32_t i = 3; i < r->argc && longest != 0; i++) {
		struct key source;
		struct string *e;
		if (!request_string(s, r, i, LOOKUP_PEEK, &source, &e))
			return OUTCOME_DONE;
		struct slice value = string_value_or_empty(e, text);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (i == 3) {
			fiber_copy(result->data, value.data, value.len);
			fiber_fill(result->data + value.len, 0, longest - value.len);
		}
		if (i > 3 || operation == OPERATION_NOT)
			combine(operation, result->data, longest, value);
	}
	struct key key = request_key(s, r, 2);
	struct entry *old = keyspace_find(s->tenant, &key, LOOKUP_WRITE);
	int error = 0;
	if (longest != 0)
		error = string_set_raw(s->tenant, &key, old, buffer_slice(result), DEADLINE_NONE);
	else if (old != NULL)
		error = keyspace_delete(s->tenant, &key, old);
	if (error < 0)
		return reply_store_error(s, error);
	if (longest != 0)
		keyspace_event(s, NOTIFY_STRING, "set", &key);
	else if (old != NULL)
		keyspace_event(s, NOTIFY_GENERIC, "del", &key);
	writer_integer(s->reply, (int64_t)longest);
	return OUTCOME_DONE;
}
