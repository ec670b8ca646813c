#include "observe/negotiate.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "observe/lines.h"

/* zlib's: the largest window, and a gzip head instead of its own. */
#define GZIP_WINDOW (15 + 16)
/* Pages repeat themselves so much that more effort saves little. */
#define GZIP_LEVEL  1
#define GZIP_MEMORY 8

/* Whether the parameters of an element, up to its end, have a weight of 0. */
static bool is_refused(const char *parameters, const char *end) {
	for (const char *p = parameters; p < end; p++) {
		if (*p != ';')
			continue;
		const char *q = p + 1 + strspn(p + 1, " \t");
		if (q + 1 < end && (*q == 'q' || *q == 'Q') && q[1] == '=')
			return strtod(q + 2, NULL) <= 0;
	}
	return false;
}

bool negotiate_accepts(const char *header, const char *what) {
	size_t length = strlen(what);
	for (const char *at = header; at != NULL && *at != '\0';) {
		at += strspn(at, " \t,");
		const char *end = at + strcspn(at, ",");
		size_t name = strcspn(at, " \t;,");
		if (name == length && strncasecmp(at, what, length) == 0)
			return !is_refused(at + name, end);
		at = end;
	}
	return false;
}

int negotiate_gzip(struct buffer *body) {
	z_stream z = {.zalloc = Z_NULL};
	struct buffer out;
	buffer_init(&out);
	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	uLong most = deflateBound(&z, body->len);
	int error = body->len > UINT32_MAX ? -ENOMEM : buffer_reserve(&out, most, SIZE_MAX);
	if (error == 0) {
		z.next_in = (Bytef *)body->data;
		z.avail_in = (uInt)body->len;
		z.next_out = (Bytef *)out.data;
		z.avail_out = (uInt)most;
		error = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -ENOMEM;
	}
	out.len = z.total_out;
	deflateEnd(&z);
	if (error != 0) {
		buffer_deinit(&out);
		return error;
	}
	buffer_deinit(body);
	*body = out;
	return 0;
}

/* Lowest byte first. */
static void put_u32(char out[4], uint32_t value) {
	for (unsigned i = 0; i < 4; i++)
		out[i] = (char)(value >> (8 * i));
}

int negotiate_gzip_lines(struct buffer *body) {
	static const unsigned char head[] = {0x1f, 0x8b, 8 /* deflate */, 0, 0, 0, 0, 0, 4 /* the fastest */, 255};
	struct buffer out;
	buffer_init(&out);
	char tail[8];
	int error = body->len > UINT32_MAX ? -ENOMEM : buffer_append(&out, head, sizeof(head), SIZE_MAX);
	if (error == 0)
		error = lines_deflate((struct slice){body->data, body->len}, &out);
	if (error == 0) {
		put_u32(tail, (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)body->data, (uInt)body->len));
		put_u32(tail + 4, (uint32_t)body->len);
		error = buffer_append(&out, tail, sizeof(tail), SIZE_MAX);
	}
	if (error != 0) {
		buffer_deinit(&out);
		return error;
	}
	buffer_deinit(body);
	*body = out;
	return 0;
}
