/* BITFIELD: integers of 1 to 64 bits at any bit of a string, the highest bit first. */
#include "commands/bitmap/bitfield.h"

#include <stdlib.h>

#include "atomdb/session/options.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/heap.h"
#include "commands/bitmap/bitmap.h"

enum field_action { FIELD_GET, FIELD_SET, FIELD_ADD };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };

struct field {
	enum field_action action;
	enum field_overflow overflow;
	bool has_sign;
	unsigned width;  /* bits: 1 to 64, to 63 without sign */
	uint64_t offset; /* of its highest bit */
	int64_t operand;
};

/* Returns the bits of a field in the low bits of the result. Bits after the end of the value are 0. */
static uint64_t field_load(struct slice value, const struct field *f) {
	uint64_t bits = 0;
	for (uint64_t i = f->offset; i < f->offset + f->width; i++) {
		unsigned byte = i / 8 < value.len ? (unsigned char)value.data[i / 8] : 0;
		bits = bits << 1 | (byte >> (7 - i % 8) & 1);
	}
	return bits;
}

static void field_store(char *bytes, const struct field *f, uint64_t bits) {
	for (unsigned k = 0; k < f->width; k++) {
		uint64_t i = f->offset + f->width - 1 - k;
		unsigned shift = 7 - i % 8;
		unsigned byte = (unsigned char)bytes[i / 8] & ~(1u << shift);
		bytes[i / 8] = (char)(byte | (unsigned)(bits >> k & 1) << shift);
	}
}

/* Returns the number that the low `width` bits stand for. */
static int64_t field_number(const struct field *f, uint64_t bits) {
	uint64_t sign = (uint64_t)1 << (f->width - 1);
	bits &= (sign << 1) - 1; /* with 64 bits the shift gives 0, and so all ones */
	return f->has_sign ? (int64_t)((bits ^ sign) - sign) : (int64_t)bits;
}

/* Adds `amount` to `value`. Returns true if the field cannot hold the sum; `*result` is then the result of OVERFLOW. */
static bool field_add(const struct field *f, int64_t value, int64_t amount, int64_t *result) {
	uint64_t half = (uint64_t)1 << (f->width - 1);
	int64_t most = (int64_t)(f->has_sign ? half - 1 : half * 2 - 1);
	int64_t least = f->has_sign ? -most - 1 : 0;
	/* For an unsigned field, a negative operand of SET is a very large number. */
	__int128 first = f->has_sign ? (__int128)value : (__int128)(uint64_t)value;
	__int128 sum = first + amount;
	bool above = sum > most, below = sum < least;
	/* Redis computes the distance to the largest value in 64 bits. If that overflows, far below the range, it takes
	 * the value for one above the range. */
	if (below && f->has_sign && f->width < 64 && amount > (int64_t)((uint64_t)most - (uint64_t)value))
		above = true;
	uint64_t wrapped = (uint64_t)value + (uint64_t)amount;
	*result = field_number(f, wrapped);
	if (!above && !below)
		return false;
	if (f->overflow == OVERFLOW_SATURATE)
		*result = above ? most : least;
	return true;
}

/* Reads "i8", "u63" and so on. Like Redis's C string, the text ends at a NUL. */
static bool parse_type(struct session *s, struct slice text, struct field *f) {
	int64_t width;
	size_t length = strnlen(text.data, text.len);
	if (length >= 2 && (text.data[0] == 'i' || text.data[0] == 'u') &&
	    number_parse((struct slice){text.data + 1, length - 1}, &width)) {
		f->has_sign = text.data[0] == 'i';
		if (width >= 1 && width <= (f->has_sign ? 64 : 63)) {
			f->width = (unsigned)width;
			return true;
		}
	}
	writer_error(s->reply,
		     "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
		     "i64 is.");
	return false;
}

static bool parse_overflow(struct session *s, struct slice text, enum field_overflow *overflow) {
	if (slice_is(text, "WRAP")) {
		*overflow = OVERFLOW_WRAP;
	} else if (slice_is(text, "SAT")) {
		*overflow = OVERFLOW_SATURATE;
	} else if (slice_is(text, "FAIL")) {
		*overflow = OVERFLOW_FAIL;
	} else {
		writer_error(s->reply, "ERR Invalid OVERFLOW type specified");
		return false;
	}
	return true;
}

enum { OPTION_OVERFLOW = 1 << 0, OPTION_GET = 1 << 1, OPTION_SET = 1 << 2, OPTION_INCRBY = 1 << 3 };

static const struct command_option options[] = {
	OPTION("overflow", .flag = OPTION_OVERFLOW, .values = 1),
	OPTION("get", .flag = OPTION_GET, .values = 2),
	OPTION("set", .flag = OPTION_SET, .values = 3),
	OPTION("incrby", .flag = OPTION_INCRBY, .values = 3),
};

/* With GET alone it only reads. */
uint16_t bitfield_key_flags(const struct slice *argv, uint32_t argc) {
	const struct request r = {.argv = argv, .argc = argc};
	struct options o = OPTIONS_BEGIN(&r, 2, options);
	while (options_next(&o) != NULL)
		;
	bool reads = o.error == OPTIONS_OK && !(o.seen & (OPTION_SET | OPTION_INCRBY));
	return reads ? KEY_RO | KEY_ACCESS : KEY_RW | KEY_ACCESS | KEY_UPDATE;
}

/* Reads one field: its type, its offset, and its operand unless it is read only. False: an error was replied. */
static bool parse_field(struct session *s, uint32_t flag, const struct slice *values, struct field *f) {
	f->action = flag == OPTION_GET ? FIELD_GET : flag == OPTION_SET ? FIELD_SET : FIELD_ADD;
	return parse_type(s, values[0], f) && request_bit_offset(s, values[1], f->width, &f->offset) &&
	       (flag == OPTION_GET || request_integer(s, values[2], &f->operand));
}

/* Reads the fields into `fields`, which has room for all. False: an error was replied. */
static bool parse_fields(struct session *s, const struct request *r, struct field *fields, size_t *count) {
	struct options o = OPTIONS_BEGIN(r, 2, options);
	const struct command_option *option;
	enum field_overflow overflow = OVERFLOW_WRAP;
	size_t n = 0, work = 0;
	while ((option = options_next(&o)) != NULL) {
		if (option->flag == OPTION_OVERFLOW) {
			if (!parse_overflow(s, *o.value, &overflow))
				return false;
			continue;
		}
		struct field f = {.overflow = overflow};
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (!parse_field(s, option->flag, o.value, &f))
			return false;
		fields[n++] = f;
	}
	*count = n;
	if (o.error != OPTIONS_OK)
		reply_syntax_error(s);
	return o.error == OPTIONS_OK;
}

/* Computes the new value of a field. Returns false if it overflows and stays as it is. */
static bool field_next(const struct field *f, int64_t before, int64_t *after) {
	bool over =
		f->action == FIELD_SET ? field_add(f, f->operand, 0, after) : field_add(f, before, f->operand, after);
	return !over || f->overflow != OVERFLOW_FAIL;
}

/* Runs one field. `bytes` is NULL if the value does not change. */
enum field_result { FIELD_READ, FIELD_SAME, FIELD_CHANGED };
static enum field_result field_run(struct writer *w, const struct field *f, struct slice value, char *bytes) {
	int64_t before = field_number(f, field_load(value, f)), after;
	if (f->action == FIELD_GET) {
		writer_integer(w, before);
		return FIELD_READ;
	}
	if (!field_next(f, before, &after)) {
		writer_null(w);
		return FIELD_READ;
	}
	if (bytes != NULL)
		field_store(bytes, f, (uint64_t)after);
	writer_integer(w, f->action == FIELD_SET ? before : after);
	return after != before ? FIELD_CHANGED : FIELD_SAME;
}

/* Returns whether the fields change a value that is long enough. It is unchanged up to the first field that does. */
static bool fields_change(const struct field *fields, size_t count, struct slice value) {
	size_t work = 0;
	for (size_t i = 0; i < count; i++) {
		int64_t before = field_number(&fields[i], field_load(value, &fields[i])), after;
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
		if (fields[i].action != FIELD_GET && field_next(&fields[i], before, &after) && after != before)
			return true;
	}
	return false;
}

static enum outcome run_fields(struct session *s, const struct request *r, const struct field *fields, size_t count) {
	uint64_t needed = 0; /* length that the written fields need */
	uint64_t first = UINT64_MAX;
	for (size_t i = 0; i < count; i++) {
		uint64_t end = (fields[i].offset + fields[i].width + 7) / 8;
		if (fields[i].action == FIELD_GET)
			continue;
		needed = end > needed ? end : needed;
		first = fields[i].offset / 8 < first ? fields[i].offset / 8 : first;
	}
	if (needed != 0 && !(r->command->flags & CMD_WRITE))
		return reply_error(s, "ERR BITFIELD_RO only supports the GET subcommand");
	if (needed > STRING_MAX)
		return reply_too_long(s);
	struct key key;
	struct string *e;
	if (!request_string(s, r, 1, needed != 0 ? LOOKUP_WRITE : LOOKUP_READ, &key, &e))
		return OUTCOME_DONE;
	char text[STRING_TEXT], *bytes = NULL;
	struct slice value = string_value_or_empty(e, text);
	bool grows = needed > value.len, news = grows || fields_change(fields, count, value);
	size_t length = value.len > needed ? value.len : needed;
	int error = 0;
	if (news)
		error = string_resize(s->tenant, &key, e, length, (struct span){first, needed - first}, &bytes);
	else if (needed != 0)
		error = string_make_raw(s->tenant, &key, e);
	if (error < 0)
		return reply_store_error(s, error);
	if (news)
		value = (struct slice){bytes, length};
	writer_array(s->reply, count);
	uint64_t changes = 0;
	size_t work = 0;
	for (size_t i = 0; i < count; i++) {
		changes += field_run(s->reply, &fields[i], value, bytes) >= (grows ? FIELD_SAME : FIELD_CHANGED);
		(void)fiber_check_every(&work, 1, CHECK_KEYS);
	}
	if (bytes != NULL)
		keyspace_commit(s->tenant->shard);
	if (changes != 0)
		keyspace_event_also(s, NOTIFY_STRING, "setbit", &key);
	s->tenant->clients.changes += changes;
	return OUTCOME_DONE;
}

enum outcome cmd_bitfield_bitfield(struct session *s, const struct request *r) {
	struct field few[8], *fields = few;
	size_t count;
	if (r->argc > 3 * sizeof(few) / sizeof(few[0])) {
		fields = heap_resize(NULL, 0, r->argc / 3 * sizeof(*fields));
		if (fields == NULL)
			return reply_error(s, "ERR out of memory");
	}
	enum outcome outcome = OUTCOME_DONE;
	if (parse_fields(s, r, fields, &count))
		outcome = run_fields(s, r, fields, count);
	if (fields != few)
		heap_free(fields, r->argc / 3 * sizeof(*fields));
	return outcome;
}
