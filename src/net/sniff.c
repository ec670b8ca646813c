#include "net/sniff.h"

#include "atomdb/resp/reader.h"

/* The limit of inline commands. */
static bool is_blank(char c) {
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}

static bool starts_with(struct slice s, const char *prefix) {
	size_t len = strlen(prefix);
	return s.len >= len && strncasecmp(s.data, prefix, len) == 0;
}

static struct slice trim(struct slice s) {
	while (s.len > 0 && is_blank(s.data[0]))
		s = (struct slice){s.data + 1, s.len - 1};
	while (s.len > 0 && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}

/* Removes the first word from `*s` and returns it, trimmed. */
static struct slice take_word(struct slice *s) {
	struct slice word = {s->data, 0};
	while (word.len < s->len && !is_blank(word.data[word.len]))
		word.len++;
	*s = trim((struct slice){word.data + word.len, s->len - word.len});
	return word;
}

static struct slice last_word(struct slice s) {
	size_t len = 0;
	while (len < s.len && !is_blank(s.data[s.len - len - 1]))
		len++;
	return (struct slice){s.data + s.len - len, len};
}

/* Returns whether it is a token of RFC 9110, section 5.6.2. */
static bool is_method(struct slice s) {
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		if (!letter && !is_digit(c) && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.len > 0;
}

/* Returns whether it is a method, and no name of a command. */
static bool is_only_method(struct slice s) {
	static const char *const methods[] = {"CONNECT", "DELETE", "HEAD", "OPTIONS", "PATCH", "PRI", "PUT", "TRACE"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (slice_is(s, methods[i]))
			return true;
	}
	return false;
}

/* RFC 9112, section 3.2: a path, a URI, "*", or the authority of CONNECT. */
static bool is_target(struct slice method, struct slice s) {
	return starts_with(s, "/") || slice_is(s, "*") || memmem(s.data, s.len, "://", 3) != NULL ||
	       (s.len > 0 && slice_is(method, "CONNECT"));
}

/* Returns whether it is "HTTP/1.1" or another version. */
static bool is_version(struct slice s) {
	if (!starts_with(s, "HTTP/") || s.len == 5 || !is_digit(s.data[5]))
		return false;
	for (size_t i = 6; i < s.len; i++) {
		if (!is_digit(s.data[i]) && s.data[i] != '.')
			return false;
	}
	return true;
}

/* `whole`: the line is complete. */
static bool is_request_line(struct slice line, bool whole) {
	struct slice rest = line, method = take_word(&rest);
	/* Redis closes a connection that sends these two in any line. */
	if (slice_is(method, "POST") || starts_with(method, "Host:"))
		return true;
	struct slice target = take_word(&rest);
	if (!is_method(method) || !is_target(method, target))
		return false;
	return !whole || is_only_method(method) || is_version(last_word(rest));
}

static enum sniff judge(struct slice line, bool whole, struct slice *out) {
	line = trim(line);
	if (!is_request_line(line, whole))
		return SNIFF_OTHER;
	*out = line;
	return SNIFF_HTTP;
}

enum sniff sniff_first_line(struct slice bytes, struct slice *line) {
	/* Returns whether it is a TLS record with a handshake, by its type and the first byte of its version. */
	if (bytes.len >= 2 && bytes.data[0] == 0x16 && bytes.data[1] == 0x03)
		return SNIFF_TLS;
	while (bytes.len > 0 && bytes.data[0] != '*') {
		size_t len = bytes.len < READER_LINE_MAX + 1 ? bytes.len : READER_LINE_MAX + 1;
		const char *end = memchr(bytes.data, '\n', len);
		if (end == NULL)
			return len <= READER_LINE_MAX ? SNIFF_MORE
						      : judge((struct slice){bytes.data, len}, false, line);
		struct slice text = {bytes.data, (size_t)(end - bytes.data)};
		if (trim(text).len > 0)
			return judge(text, true, line);
		bytes = (struct slice){end + 1, bytes.len - text.len - 1};
	}
	return bytes.len > 0 ? SNIFF_OTHER : SNIFF_MORE;
}

bool sniff_begins_like_http(struct slice bytes) {
	size_t len = bytes.len < READER_LINE_MAX ? bytes.len : READER_LINE_MAX;
	const char *end = len > 0 ? memchr(bytes.data, '\n', len) : NULL;
	if (end != NULL)
		len = (size_t)(end - bytes.data);
	return is_request_line(trim((struct slice){bytes.data, len}), end != NULL);
}
