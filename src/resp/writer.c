/* Each function reserves its room once, so that the buffer holds either the whole reply or none of it. */
#include "atomdb/resp/writer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "atomdb/util/fiber.h"
#include "atomdb/util/number.h"

/* Bytes that are copied or moved with check points: see fiber.h. */
#define LARGE ((size_t)256 << 10)
/* Type byte, number and CRLF. */
enum { LINE_MAX_BYTES = 1 + NUMBER_TEXT_MAX + 2 };

void writer_init(struct writer *w, struct buffer *out, size_t limit) {
	/* This runs in every turn of a connection, so it leaves fields uninitialized that have no meaning yet. */
	w->out = out;
	w->limit = limit;
	w->protocol = 2;
	w->muted = w->failed = false;
	w->grow = NULL;
	w->errors = 0;
}

/* Returns room for `n` bytes if the buffer already has it, otherwise NULL. */
static inline char *spare(struct writer *w, size_t n) {
	struct buffer *b = w->out;
	if (w->muted || w->failed || n > b->cap - b->len || b->len > w->limit || n > w->limit - b->len)
		return NULL;
	return b->data + b->len;
}

bool writer_fits(struct writer *w, size_t n) {
	if (w->failed)
		return false;
	if (w->out->len <= w->limit && n <= w->limit - w->out->len)
		return true;
	w->failed = w->grow == NULL || !w->grow(w, n);
	return !w->failed;
}

/* Returns room for exactly `n` bytes, or NULL if nothing may be written. */
static char *room(struct writer *w, size_t n) {
	if (w->muted || w->failed)
		return NULL;
	if (!writer_fits(w, n) || buffer_reserve(w->out, n, w->limit) < 0) {
		w->failed = true;
		return NULL;
	}
	return w->out->data + w->out->len;
}

/* Writes one line to `p`, which holds LINE_MAX_BYTES. Returns its end. */
static inline char *put_line(char *p, char type, int64_t value) {
	*p++ = type;
	if ((uint64_t)value < 10)
		*p++ = (char)('0' + value);
	else
		p += number_format(value, p);
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static inline char *put_bytes(char *p, const char *bytes, size_t n) {
	if (n > 0)
		memcpy(p, bytes, n);
	return p + n;
}

/* The same for any size. Only a reply is copied with check points: a message is written in the middle of a change. */
static char *put_large(const struct writer *w, char *p, const char *bytes, size_t n) {
	if (n <= LARGE || w->grow == NULL)
		return put_bytes(p, bytes, n);
	fiber_copy(p, bytes, n);
	return p + n;
}

static inline void written_to(struct writer *w, const char *end) {
	w->out->len = (size_t)(end - w->out->data);
}

void writer_raw(struct writer *w, struct slice bytes) {
	if (bytes.len == 0)
		return;
	char *p = spare(w, bytes.len);
	if (p == NULL)
		p = room(w, bytes.len);
	if (p != NULL)
		written_to(w, put_bytes(p, bytes.data, bytes.len));
}

static void line(struct writer *w, char type, int64_t value) {
	char *p = spare(w, LINE_MAX_BYTES);
	if (p != NULL) {
		written_to(w, put_line(p, type, value));
		return;
	}
	char text[LINE_MAX_BYTES];
	writer_raw(w, (struct slice){text, (size_t)(put_line(text, type, value) - text)});
}

/* Writes a header line with the total length, `prefix`, `bytes` and CRLF. */
static __attribute__((noinline)) void blob(struct writer *w, char type, struct slice prefix, struct slice bytes) {
	/* No object exceeds PTRDIFF_MAX bytes, so the sums cannot overflow. */
	size_t len = prefix.len + bytes.len;
	char *p = len <= LARGE ? spare(w, LINE_MAX_BYTES + len + 2) : NULL;
	if (p != NULL) {
		p = put_line(p, type, (int64_t)len);
	} else {
		char text[LINE_MAX_BYTES];
		size_t n = (size_t)(put_line(text, type, (int64_t)len) - text);
		p = room(w, n + len + 2);
		if (p == NULL)
			return;
		p = put_bytes(p, text, n);
		p = put_bytes(p, prefix.data, prefix.len);
		p = put_large(w, p, bytes.data, bytes.len);
		*p++ = '\r';
		*p++ = '\n';
		written_to(w, p);
		return;
	}
	p = put_bytes(p, prefix.data, prefix.len);
	p = put_bytes(p, bytes.data, bytes.len);
	*p++ = '\r';
	*p++ = '\n';
	written_to(w, p);
}

void writer_ok(struct writer *w) {
	writer_constant(w, "+OK\r\n");
}

void writer_simple(struct writer *w, const char *text) {
	size_t n = strlen(text);
	char *p = room(w, n + 3);
	if (p == NULL)
		return;
	*p++ = '+';
	p = put_bytes(p, text, n);
	*p++ = '\r';
	*p++ = '\n';
	written_to(w, p);
}

/* Ends the error whose text is the `n` bytes after the '-' at `p`. Removes line ends at the end of the text and
 * replaces others by spaces: they would end the reply. There is room for CRLF. */
static void finish_error(struct writer *w, char *p, size_t n) {
	char *text = p + 1;
	while (n > 0 && (text[n - 1] == '\r' || text[n - 1] == '\n'))
		n--;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\r' || text[i] == '\n')
			text[i] = ' ';
	}
	*p = '-';
	text[n] = '\r';
	text[n + 1] = '\n';
	written_to(w, text + n + 2);
}

/* Counts an error whose text begins with `text`. */
static void count_error(struct writer *w, const char *text) {
	size_t n = strcspn(text, " ");
	w->errors++;
	if (n == 0 || n >= WRITER_CODE || text[n] == '\0') {
		text = "ERR";
		n = 3;
	}
	memcpy(w->code, text, n);
	w->code[n] = '\0';
}

void writer_error(struct writer *w, const char *text) {
	count_error(w, text);
	size_t n = strlen(text);
	char *p = room(w, n + 3);
	if (p == NULL)
		return;
	put_bytes(p + 1, text, n);
	finish_error(w, p, n);
}

void writer_errorf(struct writer *w, const char *format, ...) {
	va_list arguments, again;
	char head[WRITER_CODE + 1] = "";
	va_start(arguments, format);
	va_copy(again, arguments);
	int n = vsnprintf(head, sizeof(head), format, arguments);
	va_end(arguments);
	count_error(w, head);
	if (n < 0) {
		w->failed = true;
	} else {
		char *p = room(w, (size_t)n + 3);
		if (p != NULL) {
			vsnprintf(p + 1, (size_t)n + 1, format, again);
			finish_error(w, p, (size_t)n);
		}
	}
	va_end(again);
}

void writer_integer(struct writer *w, int64_t value) {
	line(w, ':', value);
}

void writer_bulk(struct writer *w, struct slice bytes) {
	char *p = spare(w, LINE_MAX_BYTES + bytes.len + 2);
	size_t n = bytes.len;
	if (__builtin_expect(p == NULL || n < 10 || n > 999, 0)) {
		blob(w, '$', SLICE(""), bytes);
		return;
	}
	/* The usual length. memcpy() of the value is the last call, so that the compiler saves no registers for it. */
	*p++ = '$';
	if (n > 99) {
		*p++ = (char)('0' + n / 100);
		n %= 100;
	}
	memcpy(p, number_digit_pairs + 2 * n, 2);
	p += 2;
	n = bytes.len;
	memcpy(p, "\r\n", 2);
	memcpy(p + 2 + n, "\r\n", 2);
	written_to(w, p + 4 + n);
	memcpy(p + 2, bytes.data, n);
}

void writer_bulk_head(struct writer *w, size_t len) {
	line(w, '$', (int64_t)len);
}

void writer_bulk_integer(struct writer *w, int64_t value) {
	char text[NUMBER_TEXT_MAX];
	writer_bulk(w, (struct slice){text, number_format(value, text)});
}

void writer_null(struct writer *w) {
	if (w->protocol >= 3)
		writer_constant(w, "_\r\n");
	else
		writer_constant(w, "$-1\r\n");
}

void writer_null_array(struct writer *w) {
	if (w->protocol >= 3)
		writer_constant(w, "_\r\n");
	else
		writer_constant(w, "*-1\r\n");
}

void writer_bool(struct writer *w, bool value) {
	if (w->protocol >= 3)
		writer_raw(w, value ? SLICE("#t\r\n") : SLICE("#f\r\n"));
	else
		writer_raw(w, value ? SLICE(":1\r\n") : SLICE(":0\r\n"));
}

void writer_double(struct writer *w, double value) {
	/* ',', the longest "%.17g" (sign, 17 digits, point, exponent) and CRLF. */
	char text[40];
	int n;
	if (isnan(value))
		n = snprintf(text, sizeof(text), ",nan\r\n");
	else if (isinf(value))
		n = snprintf(text, sizeof(text), ",%s\r\n", value > 0 ? "inf" : "-inf");
	else
		n = snprintf(text, sizeof(text), ",%.17g\r\n", value);
	if (w->protocol >= 3)
		writer_raw(w, (struct slice){text, (size_t)n});
	else
		writer_bulk(w, (struct slice){text + 1, (size_t)n - 3});
}

void writer_verbatim(struct writer *w, const char *format3, struct slice text) {
	if (w->protocol < 3) {
		writer_bulk(w, text);
		return;
	}
	char prefix[4] = {format3[0], format3[1], format3[2], ':'};
	blob(w, '=', (struct slice){prefix, sizeof(prefix)}, text);
}

void writer_array(struct writer *w, size_t elements) {
	line(w, '*', (int64_t)elements);
}

void writer_map(struct writer *w, size_t pairs) {
	if (w->protocol >= 3)
		line(w, '%', (int64_t)pairs);
	else
		line(w, '*', (int64_t)pairs * 2);
}

void writer_set(struct writer *w, size_t elements) {
	line(w, w->protocol >= 3 ? '~' : '*', (int64_t)elements);
}

void writer_push(struct writer *w, size_t elements) {
	line(w, w->protocol >= 3 ? '>' : '*', (int64_t)elements);
}

size_t writer_mark(const struct writer *w) {
	return w->out->len;
}

void writer_raw_at(struct writer *w, size_t mark, struct slice bytes) {
	if (mark > w->out->len || room(w, bytes.len) == NULL)
		return;
	char *at = w->out->data + mark;
	fiber_move_up(at, w->out->len - mark, bytes.len);
	memcpy(at, bytes.data, bytes.len);
	w->out->len += bytes.len;
}

void writer_array_at(struct writer *w, size_t mark, size_t elements) {
	char text[LINE_MAX_BYTES];
	writer_raw_at(w, mark, (struct slice){text, (size_t)(put_line(text, '*', (int64_t)elements) - text)});
}
