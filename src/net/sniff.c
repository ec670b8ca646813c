#include "net/sniff.h"

#include <stdbool.h>

/* No request line of interest is longer; a longer first line is left to the reader. */
#define LINE_MAX_BYTES ((size_t)16 << 10)

/* "HTTP/" digit "." digit */
static bool is_version(struct slice s) {
	return s.len == 8 && memcmp(s.data, "HTTP/", 5) == 0 && s.data[5] >= '0' && s.data[5] <= '9' &&
	       s.data[6] == '.' && s.data[7] >= '0' && s.data[7] <= '9';
}

static bool is_method(struct slice s) {
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < 'A' || s.data[i] > 'Z')
			return false;
	}
	return s.len > 0;
}

/* A path, "*", an absolute URI, or CONNECT's authority. */
static bool is_target(struct slice method, struct slice s) {
	if (s.len == 0)
		return false;
	return s.data[0] == '/' || (s.len == 1 && s.data[0] == '*') ||
	       (s.len > 4 && strncasecmp(s.data, "http", 4) == 0) || slice_equal(method, SLICE("CONNECT"));
}

static bool is_request_line(struct slice line) {
	const char *first = memchr(line.data, ' ', line.len);
	const char *last = memrchr(line.data, ' ', line.len);
	if (first == NULL || first == last)
		return false;
	const char *end = line.data + line.len;
	struct slice method = {line.data, (size_t)(first - line.data)};
	struct slice target = {first + 1, (size_t)(last - first - 1)};
	return is_version((struct slice){last + 1, (size_t)(end - last - 1)}) && is_method(method) &&
	       is_target(method, target);
}

enum sniff sniff_first_line(struct slice bytes, struct slice *line) {
	if (bytes.len == 0)
		return SNIFF_MORE;
	if (bytes.data[0] < 'A' || bytes.data[0] > 'Z')
		return SNIFF_OTHER;
	size_t len = bytes.len < LINE_MAX_BYTES ? bytes.len : LINE_MAX_BYTES;
	const char *end = memchr(bytes.data, '\n', len);
	if (end == NULL)
		return bytes.len < LINE_MAX_BYTES ? SNIFF_MORE : SNIFF_OTHER;
	struct slice text = {bytes.data, (size_t)(end - bytes.data)};
	if (text.len > 0 && text.data[text.len - 1] == '\r')
		text.len--;
	if (!is_request_line(text))
		return SNIFF_OTHER;
	*line = text;
	return SNIFF_HTTP;
}
