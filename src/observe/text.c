#include "observe/text.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* Digits of the longest uint64_t. */
#define U64_DIGITS 20

void text_bytes(struct text *t, const void *bytes, size_t n) {
	if (t->error == 0)
		t->error = buffer_append(t->out, bytes, n, SIZE_MAX);
}

void text_string(struct text *t, const char *string) {
	text_bytes(t, string, strlen(string));
}

/* Writes the digits to the end of `out`. Returns their start. */
static char *digits_before(char *end, uint64_t value) {
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	return end;
}

void text_u64(struct text *t, uint64_t value) {
	char digits[U64_DIGITS];
	char *end = digits + sizeof(digits);
	char *begin = digits_before(end, value);
	text_bytes(t, begin, (size_t)(end - begin));
}

void text_decimal(struct text *t, uint64_t value, unsigned decimals) {
	uint64_t one = 1;
	assert(decimals <= 9);
	for (unsigned i = 0; i < decimals; i++)
		one *= 10;
	text_u64(t, value / one);
	/* A leading 1 keeps the zeros of the fraction; the point then replaces it. */
	uint64_t fraction = value % one;
	if (fraction == 0)
		return;
	char digits[U64_DIGITS];
	char *end = digits + sizeof(digits);
	char *begin = digits_before(end, one + fraction);
	*begin = '.';
	while (end[-1] == '0')
		end--;
	text_bytes(t, begin, (size_t)(end - begin));
}

void text_json(struct text *t, const char *string) {
	static const char hex[] = "0123456789abcdef";
	text_string(t, "\"");
	for (; *string != '\0'; string++) {
		unsigned char c = (unsigned char)*string;
		const char escaped[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		/* Escapes '<', '>' and '&' too, so that a page which inserts the text as markup is safe. */
		bool plain = c >= 0x20 && c < 0x7f && strchr("\"\\<>&", c) == NULL;
		text_bytes(t, plain ? string : escaped, plain ? 1 : sizeof(escaped));
	}
	text_string(t, "\"");
}

#define ESCAPE_MAX 5

/* Writes the escaped form of one byte. Returns its length. */
static size_t escape(char out[ESCAPE_MAX], char byte) {
	static const char hex[] = "0123456789abcdef";
	unsigned char c = (unsigned char)byte;
	if (c == '\\' || c == '"' || c == '\n') {
		out[0] = '\\';
		out[1] = c == '\n' ? 'n' : byte;
		return 2;
	}
	if (c >= 0x20 && c < 0x7f) {
		out[0] = byte;
		return 1;
	}
	/* The format has no escape for these bytes: a reader gets a backslash, an x and two digits. */
	out[0] = out[1] = '\\';
	out[2] = 'x';
	out[3] = hex[c >> 4];
	out[4] = hex[c & 15];
	return 5;
}

void labels_add(struct labels *l, const char *name, const char *value) {
	char text[LABELS_MAX];
	size_t name_len = strlen(name);
	size_t at = 0;
	if (name_len > sizeof(text) - 8)
		return;
	text[at++] = l->len == 0 ? '{' : ',';
	memcpy(text + at, name, name_len);
	at += name_len;
	text[at++] = '=';
	text[at++] = '"';
	for (; *value != '\0'; value++) {
		char escaped[ESCAPE_MAX];
		size_t n = escape(escaped, *value);
		if (at + n + 2 > sizeof(text))
			return;
		memcpy(text + at, escaped, n);
		at += n;
	}
	text[at++] = '"';
	text[at++] = '}';
	/* The closing brace moves behind the new label. */
	size_t keep = l->len == 0 ? 0 : l->len - 1;
	if (keep + at > sizeof(l->text))
		return;
	memcpy(l->text + keep, text, at);
	l->len = keep + at;
}

void labels_add_u64(struct labels *l, const char *name, uint64_t value) {
	char digits[U64_DIGITS + 1];
	digits[U64_DIGITS] = '\0';
	labels_add(l, name, digits_before(digits + U64_DIGITS, value));
}
