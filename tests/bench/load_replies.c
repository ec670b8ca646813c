#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define VALUE_MAX ((uint64_t)1 << 30)

static void note_error(struct replies *r, const char *line, size_t size) {
	if (r->errors++ == 0) {
		size_t kept = size < sizeof(r->error) - 1 ? size : sizeof(r->error) - 1;

		memcpy(r->error, line, kept);
		r->error[kept] = '\0';
	}
}

/* "VALUE key flags bytes": the value and END follow. */
static int memcached_value(struct replies *r, const char *line, size_t size) {
	const char *space = memrchr(line, ' ', size);
	uint64_t bytes = space ? strtoull(space, NULL, 10) : VALUE_MAX + 1;

	if (bytes > VALUE_MAX)
		return -EPROTO;
	r->skip = bytes + 2;
	r->misses--;
	return 0;
}

static int memcached_line(struct replies *r, const char *line, size_t size) {
	switch (line[0]) {
	case 'V':
		return memcached_value(r, line, size);
	case 'E': /* END, or ERROR */
		if (size > 3 && line[1] == 'R')
			note_error(r, line, size);
		else
			r->misses++;
		return 1;
	case 'C': /* CLIENT_ERROR */
		note_error(r, line, size);
		return 1;
	case 'S': /* STORED, or SERVER_ERROR */
		if (line[1] == 'E')
			note_error(r, line, size);
		return 1;
	default: /* DELETED, NOT_FOUND, NOT_STORED */
		return 1;
	}
}

/* Handles a line without CR LF, terminated by NUL or CR. Returns the number of replies that it completes. */
static int resp_line(struct replies *r, const char *line, size_t size) {
	switch (line[0]) {
	case '$':
		if (size < 2)
			return -EPROTO;
		if (line[1] == '-') {
			r->misses++;
			return 1;
		}
		r->skip = strtoull(line + 1, NULL, 10);
		if (r->skip > VALUE_MAX)
			return -EPROTO;
		r->skip += 2;
		return 0; /* its last byte completes it */
	case '-':
		note_error(r, line, size);
		return 1;
	case '+':
	case ':':
	case '_':
		return 1;
	default:
		return -EPROTO;
	}
}

static int take_line(struct replies *r, const char *line, size_t size) {
	if (size < 2 || line[size - 1] != '\r')
		return -EPROTO;
	return r->memcached ? memcached_line(r, line, size - 1) : resp_line(r, line, size - 1);
}

/* Keeps the beginning of an incomplete line. The rest of a long line is not needed. */
static void keep(struct replies *r, const char *at, size_t size) {
	size_t room = sizeof(r->line) - 2 - r->line_size;

	r->line_long |= size > room;
	size = size < room ? size : room;
	memcpy(r->line + r->line_size, at, size);
	r->line_size = (uint8_t)(r->line_size + size);
}

static int take_kept(struct replies *r) {
	int n;

	if (r->line_long)
		r->line[r->line_size++] = '\r';
	r->line[r->line_size] = '\0';
	n = take_line(r, r->line, r->line_size);
	r->line_size = 0;
	r->line_long = false;
	return n;
}

int64_t replies_count(struct replies *r, const char *at, size_t size) {
	const char *end = at + size;
	int64_t count = 0;

	while (at < end) {
		const char *newline;
		int n;

		if (r->skip) {
			uint64_t taken = r->skip < (uint64_t)(end - at) ? r->skip : (uint64_t)(end - at);

			at += taken;
			r->skip -= taken;
			count += !r->skip && !r->memcached;
			continue;
		}
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline) {
			keep(r, at, (size_t)(end - at));
			break;
		}
		if (r->line_size) {
			keep(r, at, (size_t)(newline - at));
			n = take_kept(r);
		} else {
			n = take_line(r, at, (size_t)(newline - at));
		}
		if (n < 0)
			return n;
		count += n;
		at = newline + 1;
	}
	return count;
}
