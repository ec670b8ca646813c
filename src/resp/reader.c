/* The reader parses a multibulk command as a sequence of lines and payloads:
 *
 *     *3 CRLF   $3 CRLF   SET CRLF   $4 CRLF   name CRLF   $5 CRLF   Alice CRLF
 *     \ header  \ bulk    \ payload                ^ position: everything before it is in argv, left and bulk
 *
 * `position` advances only over parsed bytes, so a command that arrives in pieces costs no more than one in a single
 * piece. The search for a line end continues at `scanned`, and covers the first 64 KiB of a line even if more bytes
 * have arrived: the result does not depend on how the bytes are split. As in Redis, the reader does not check the '\n'
 * of a line end and the two bytes after a payload. Unlike in Redis, a NUL byte does not end the search. */
#include "atomdb/resp/reader.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/util/error.h"
#include "atomdb/util/heap.h"
#include "atomdb/util/number.h"
#include "resp/inline.h"

enum {
	SLOTS_FIRST = 8,
	/* The reader keeps this many slots and bytes for the next command, and frees larger ones. */
	SLOTS_KEPT = 1024,
	TEXT_KEPT = 1024,
	/* Maximum digits of short_number(): enough for any valid length, without overflow. */
	SHORT_DIGITS = 10,
	/* Maximum digits of usual_length(). */
	USUAL_DIGITS = 5,
};
/* A longer bulk is invalid for every client. */
#define BULK_LIMIT (UINT64_C(512) * 1024 * 1024)

void reader_init(struct reader *r) {
	*r = (struct reader){.bulk = -1};
}

void reader_deinit(struct reader *r) {
	heap_free(r->argv, r->cap * sizeof(*r->argv));
	free(r->text);
	reader_init(r);
}

static void forget_progress(struct reader *r) {
	r->left = 0;
	r->bulk = -1;
	r->position = 0;
	r->scanned = 0;
	r->skipping = false;
}

static void trim(struct reader *r) {
	r->argc = 0;
	if (r->cap > SLOTS_KEPT) {
		heap_free(r->argv, r->cap * sizeof(*r->argv));
		r->argv = NULL;
		r->cap = 0;
	}
	if (r->text_cap > TEXT_KEPT) {
		free(r->text);
		r->text = NULL;
		r->text_cap = 0;
	}
}

void reader_reset(struct reader *r) {
	forget_progress(r);
	trim(r);
}

static int fail(struct reader *r, const char *error) {
	r->error = error;
	reader_reset(r);
	return ATOMDB_E_PROTOCOL;
}

/* Doubles the slots. Their number follows the arguments that have arrived, not the announced count. */
static int grow(struct reader *r, const struct reader_limits *limits) {
	size_t most = limits->max_bytes / sizeof(*r->argv);
	size_t cap = r->cap == 0 ? SLOTS_FIRST : (size_t)r->cap * 2;
	if (cap > most)
		cap = most;
	if (cap > UINT32_MAX)
		cap = UINT32_MAX;
	if (cap <= r->argc)
		return ATOMDB_E_RANGE;
	struct slice *argv = heap_resize(r->argv, r->cap * sizeof(*argv), cap * sizeof(*argv));
	if (argv == NULL)
		return -ENOMEM;
	r->argv = argv;
	r->cap = (uint32_t)cap;
	return 0;
}

/* Searches the line at `position` for `end_byte`. Returns its offset in the line, or advances `scanned` and returns
 * -1. */
static ssize_t find_line_end(struct reader *r, const char *data, size_t len, char end_byte) {
	const char *line = data + r->position;
	size_t there = len - r->position;
	if (there > READER_LINE_MAX + 1)
		there = READER_LINE_MAX + 1;
	const char *found = there > r->scanned ? memchr(line + r->scanned, end_byte, there - r->scanned) : NULL;
	if (found != NULL)
		return found - line;
	r->scanned = there;
	return -1;
}

static int grow_text(struct reader *r, size_t n) {
	if (n <= r->text_cap)
		return 0;
	size_t cap = n < TEXT_KEPT / 4 ? TEXT_KEPT / 4 : n;
	char *text = realloc(r->text, cap);
	if (text == NULL)
		return -ENOMEM;
	r->text = text;
	r->text_cap = cap;
	return 0;
}

void reader_wipe(struct reader *r) {
	if (r->text != NULL)
		explicit_bzero(r->text, r->text_cap);
}

static int read_inline(struct reader *r, const char *data, size_t len, const struct reader_limits *limits,
		       size_t *consumed) {
	ssize_t newline = find_line_end(r, data, len, '\n');
	if (newline < 0)
		return r->scanned > READER_LINE_MAX ? fail(r, "Protocol error: too big inline request")
						    : READER_UNFINISHED;
	const char *p = data, *end = data + newline;
	if (end > p && end[-1] == '\r')
		end--;

	r->argc = 0;
	if (inline_next(&p, end)) {
		/* Unquoted text is never longer than quoted text. */
		int error = grow_text(r, (size_t)(end - p));
		if (error < 0)
			return error;
		char *out = r->text;
		do {
			if (r->argc == r->cap && (error = grow(r, limits)) < 0)
				return error;
			char *begin = out;
			if (!inline_argument(&p, end, &out))
				return fail(r, "Protocol error: unbalanced quotes in request");
			r->argv[r->argc++] = (struct slice){begin, (size_t)(out - begin)};
		} while (inline_next(&p, end));
	}
	forget_progress(r);
	*consumed = (size_t)newline + 1;
	return r->argc > 0 ? READER_COMMAND : READER_EMPTY;
}

/* Fast path: reads digits, '\r' and one more byte at `p`. Returns the end of the line, or NULL if the line is
 * incomplete or unusual. */
static inline const char *short_number(const char *p, const char *end, int64_t *value) {
	const char *digits = p;
	int64_t v = 0;
	for (; p < end; p++) {
		unsigned digit = (unsigned)(unsigned char)*p - '0';
		if (digit > 9)
			break;
		v = v * 10 + digit;
		if (p - digits >= SHORT_DIGITS)
			return NULL;
	}
	if (p == digits || end - p < 2 || *p != '\r' || (*digits == '0' && p - digits > 1))
		return NULL;
	*value = v;
	return p + 2;
}

/* Reads the number after the first byte of the header line at `position`. Returns 1 and moves `position` past the line,
 * 0 if the line is incomplete, or an error. */
static int long_header(struct reader *r, const char *data, size_t len, int64_t *value, const char *too_big,
		       const char *invalid) {
	ssize_t end = find_line_end(r, data, len, '\r');
	if (end < 0)
		return r->scanned > READER_LINE_MAX ? fail(r, too_big) : 0;
	const char *line = data + r->position;
	r->scanned = (size_t)end;
	if (len - r->position < (size_t)end + 2)
		return 0;
	if (r->left > 0 && *line != '$') {
		/* A NUL would truncate the text. */
		snprintf(r->error_text, sizeof(r->error_text), "Protocol error: expected '$', got '%c'",
			 *line != '\0' ? *line : ' ');
		return fail(r, r->error_text);
	}
	/* The code above has rejected a line of only '\r', so the line has a first byte to skip. */
	if (!number_parse((struct slice){line + 1, (size_t)end - 1}, value))
		return fail(r, invalid);
	r->position += (size_t)end + 2;
	r->scanned = 0;
	return 1;
}

/* Reads "*3\r\n" and sets `left`. A count of zero or less sets it to 0. Returns 1, 0 if the line is incomplete, or an
 * error. */
static int read_header(struct reader *r, const char *data, size_t len, const struct reader_limits *limits) {
	static const char invalid[] = "Protocol error: invalid multibulk length";
	int64_t count;
	const char *behind = r->scanned == 0 ? short_number(data + 1, data + len, &count) : NULL;
	if (behind != NULL) {
		r->position = (size_t)(behind - data);
	} else {
		int got = long_header(r, data, len, &count, "Protocol error: too big mbulk count string", invalid);
		if (got <= 0)
			return got;
	}
	if (count > INT32_MAX)
		return fail(r, invalid);
	if (count > limits->max_args)
		return fail(r, limits->authenticated ? invalid : "Protocol error: unauthenticated multibulk length");
	r->left = count > 0 ? (uint32_t)count : 0;
	return 1;
}

/* Reads "$5\r\n" and sets `bulk`. Returns 1, 0 if the line is incomplete, or an error. */
static inline int read_bulk_header(struct reader *r, const char *data, size_t len, const struct reader_limits *limits) {
	static const char invalid[] = "Protocol error: invalid bulk length";
	int64_t bulk;
	const char *line = data + r->position, *end = data + len;
	const char *behind = line < end && *line == '$' && r->scanned == 0 ? short_number(line + 1, end, &bulk) : NULL;
	if (__builtin_expect(behind != NULL, 1)) {
		r->position = (size_t)(behind - data);
	} else {
		int got = long_header(r, data, len, &bulk, "Protocol error: too big bulk count string", invalid);
		if (got <= 0)
			return got;
	}
	if (bulk < 0 || (uint64_t)bulk > limits->max_bulk) {
		if (bulk < 0 || limits->authenticated || (uint64_t)bulk > BULK_LIMIT)
			return fail(r, invalid);
		return fail(r, "Protocol error: unauthenticated bulk length");
	}
	r->bulk = bulk;
	return 1;
}

static int read_multibulk(struct reader *r, const char *data, size_t len, const struct reader_limits *limits,
			  size_t *consumed) {
	int got;
	if (r->position == 0) {
		r->argc = 0;
		got = read_header(r, data, len, limits);
		if (got <= 0)
			return got;
	}
	while (r->left > 0) {
		if (r->bulk < 0) {
			got = read_bulk_header(r, data, len, limits);
			if (got <= 0)
				return got;
		}
		size_t bulk = (size_t)r->bulk, there = len - r->position;
		if (there < 2 || bulk > there - 2)
			return READER_UNFINISHED;
		if (r->argc == r->cap) {
			int error = grow(r, limits);
			if (error < 0)
				return error;
		}
		r->argv[r->argc++] = (struct slice){data + r->position, bulk};
		r->position += bulk + 2;
		r->bulk = -1;
		r->left--;
	}
	*consumed = r->position;
	forget_progress(r);
	return r->argc > 0 ? READER_COMMAND : READER_EMPTY;
}

/* Loads four bytes in little-endian order, such as "$5\r\n". */
static inline uint32_t load4(const char *p) {
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

/* Returns the digit in byte `i` of the loaded word, or a number above 9 if it is no digit. */
static inline uint32_t digit_of(uint32_t four, unsigned i) {
	return (four >> (8 * i) & 0xff) - '0';
}

/* Masks and patterns of a header line: with one digit, "$5\r?", and with two, "$42\r". The digits are masked out. */
#define ONE_DIGIT_MASK  0x00ff00ffu
#define ONE_DIGIT(c)    ((uint32_t)(c) | (uint32_t)'\r' << 16)
#define TWO_DIGITS_MASK 0xff0000ffu
#define TWO_DIGITS(c)   ((uint32_t)(c) | (uint32_t)'\r' << 24)
/* Length of the shortest argument, "$0\r\n\r\n". */
#define ARGUMENT_MIN 6

/* Reads a length of up to USUAL_DIGITS digits after the '$' at `at`. Returns the end of its line, or 0 if it is
 * unusual. */
static size_t usual_length(const char *data, size_t at, size_t len, uint32_t *length) {
	uint32_t value = 0;
	size_t first = ++at;
	for (; at < len && at - first <= USUAL_DIGITS && data[at] >= '0' && data[at] <= '9'; at++)
		value = value * 10 + (uint32_t)(data[at] - '0');
	size_t digits = at - first;
	*length = value;
	if (digits == 0 || digits > USUAL_DIGITS || (digits > 1 && data[first] == '0') || at == len || data[at] != '\r')
		return 0;
	return at + 2;
}

unsigned reader_read_usual(const char *data, size_t len, struct slice *slots, size_t slot_count,
			   struct reader_command *out, unsigned max) {
	unsigned n = 0;
	for (size_t at = 0; n < max && at + 4 <= len; n++) {
		uint32_t header = load4(data + at), count = digit_of(header, 1);
		if ((header & ONE_DIGIT_MASK) != ONE_DIGIT('*') || count - 1 > 8 || count > slot_count)
			break;
		at += 4;
		for (struct slice *arg = slots, *end = slots + count; arg < end; arg++) {
			if (at + ARGUMENT_MIN > len)
				return n;
			header = load4(data + at);
			uint32_t bulk = digit_of(header, 1), second = digit_of(header, 2);
			if ((header & ONE_DIGIT_MASK) == ONE_DIGIT('$') && bulk <= 9) {
				at += 4;
			} else if ((header & TWO_DIGITS_MASK) == TWO_DIGITS('$') && bulk - 1 <= 8 && second <= 9) {
				bulk = bulk * 10 + second;
				at += 5;
			} else {
				if (data[at] != '$' || (at = usual_length(data, at, len, &bulk)) == 0)
					return n;
			}
			*arg = (struct slice){data + at, bulk};
			at += bulk + 2;
		}
		if (at > len)
			break;
		out[n] = (struct reader_command){slots, count, at};
		slots += count;
		slot_count -= count;
	}
	return n;
}

size_t reader_give_up(struct reader *r) {
	size_t done = r->position;
	if (r->left == 0)
		return 0;
	if (!r->skipping && r->bulk >= 0)
		r->bulk += 2;
	r->skipping = true;
	r->position = 0;
	trim(r);
	return done;
}

/* Skips the rest of a command that was given up. `position` is 0 between two calls. */
static int skip(struct reader *r, const char *data, size_t len, const struct reader_limits *limits, size_t *consumed) {
	while (r->left > 0) {
		if (r->bulk < 0) {
			int got = read_bulk_header(r, data, len, limits);
			if (got < 0)
				return got;
			if (got == 0)
				break;
			r->bulk += 2;
		}
		size_t there = len - r->position, bulk = (size_t)r->bulk;
		if (there < bulk) {
			r->position = len;
			r->bulk -= (int64_t)there;
			break;
		}
		r->position += bulk;
		r->bulk = -1;
		r->left--;
	}
	*consumed = r->position;
	r->position = 0;
	if (r->left > 0)
		return READER_UNFINISHED;
	forget_progress(r);
	return READER_EMPTY;
}

int reader_read(struct reader *r, const char *data, size_t len, const struct reader_limits *limits, size_t *consumed) {
	if (r->position == 0 && r->scanned == 0 && (r->cap > SLOTS_KEPT || r->text_cap > TEXT_KEPT))
		trim(r);
	if (len == 0)
		return READER_UNFINISHED;
	if (r->skipping)
		return skip(r, data, len, limits, consumed);
	if (*data == '*')
		return read_multibulk(r, data, len, limits, consumed);
	return read_inline(r, data, len, limits, consumed);
}

void reader_rebase(struct reader *r, const char *from, const char *to) {
	if (r->position == 0 || from == to)
		return;
	for (uint32_t i = 0; i < r->argc; i++)
		r->argv[i].data = to + ((uintptr_t)r->argv[i].data - (uintptr_t)from);
}

size_t reader_need(const struct reader *r) {
	return r->bulk >= 0 && !r->skipping ? r->position + (size_t)r->bulk + 2 : 0;
}

size_t reader_memory(const struct reader *r) {
	return r->cap * sizeof(*r->argv) + r->text_cap;
}
