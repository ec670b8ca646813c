/* Records the results of a reader, to compare different ways of passing the same bytes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/resp/reader.h"
#include "atomdb/util/buffer.h"
#include "atomdb/util/error.h"

/* Returns the next number of received bytes: more than `have`, at most `len`. */
typedef size_t (*transcript_cut)(void *context, size_t have, size_t len);

static inline void transcript_demand(bool holds) {
	if (!holds)
		abort();
}

static inline void transcript_add(struct buffer *out, const void *bytes, size_t n) {
	transcript_demand(buffer_append(out, bytes, n, SIZE_MAX) == 0);
}

static inline bool transcript_inside(struct slice s, const char *data, size_t len) {
	uintptr_t from = (uintptr_t)s.data, start = (uintptr_t)data;
	return data != NULL && from >= start && from - start <= len && s.len <= len - (from - start);
}

static inline void transcript_command(struct buffer *out, const struct reader *r, const char *data, size_t consumed) {
	char line[64];
	transcript_demand(r->argc >= 1 && r->argc <= r->cap);
	transcript_add(out, line,
		       (size_t)snprintf(line, sizeof(line), "command of %u, %zu bytes\n", r->argc, consumed));
	for (uint32_t i = 0; i < r->argc; i++) {
		transcript_demand(transcript_inside(r->argv[i], data, consumed) ||
				  transcript_inside(r->argv[i], r->text, r->text_cap));
		transcript_add(out, line, (size_t)snprintf(line, sizeof(line), "%zu:", r->argv[i].len));
		transcript_add(out, r->argv[i].data, r->argv[i].len);
		transcript_add(out, "\n", 1);
	}
}

/* Copies exactly the received bytes to a new address, so that AddressSanitizer detects a read beyond them. */
static inline char *transcript_move(struct reader *r, char *old, const char *bytes, size_t n) {
	char *moved = malloc(n > 0 ? n : 1);
	transcript_demand(moved != NULL);
	if (n > 0)
		memcpy(moved, bytes, n);
	if (old != NULL)
		reader_rebase(r, old, moved);
	free(old);
	return moved;
}

/* Reads all of `data` and appends the results to `out`. `cut` chooses the pieces (NULL: a single piece). */
static inline void transcript_write(struct buffer *out, const char *data, size_t len,
				    const struct reader_limits *limits, transcript_cut cut, void *context) {
	struct reader r;
	size_t start = 0, have = cut != NULL ? cut(context, 0, len) : len;
	reader_init(&r);
	char *pending = transcript_move(&r, NULL, data, have);
	for (;;) {
		size_t consumed = 0;
		int got = reader_read(&r, pending, have - start, limits, &consumed);
		if (got == READER_UNFINISHED) {
			transcript_demand(reader_need(&r) == 0 || reader_need(&r) > have - start);
			if (have == len)
				break;
			have = cut(context, have, len);
			pending = transcript_move(&r, pending, data + start, have - start);
			continue;
		}
		if (got < 0) {
			const char *text = got == ATOMDB_E_PROTOCOL ? r.error : error_text(got);
			transcript_add(out, text, strlen(text));
			break;
		}
		transcript_demand(consumed >= 1 && consumed <= have - start);
		if (got == READER_COMMAND)
			transcript_command(out, &r, pending, consumed);
		else
			transcript_add(out, "empty\n", 6);
		start += consumed;
		pending = transcript_move(&r, pending, data + start, have - start);
	}
	transcript_add(out, "", 1);
	transcript_demand(reader_memory(&r) >= r.cap * sizeof(struct slice));
	free(pending);
	reader_deinit(&r);
}

/* Reads commands with reader_read_usual(), and checks that reader_read() gives the same. Returns their number. */
static inline unsigned transcript_usual(const char *data, size_t len) {
	struct slice slots[40];
	struct reader_command commands[16];
	const struct reader_limits limits = {INT32_MAX, UINT64_C(512) << 20, true, 1 << 20};
	struct reader r;
	size_t begin = 0;
	char *copy = transcript_move(NULL, NULL, data, len);
	unsigned n = reader_read_usual(copy, len, slots, 40, commands, 16);
	transcript_demand(n <= 16);
	reader_init(&r);
	for (unsigned i = 0; i < n; i++) {
		const struct reader_command *c = &commands[i];
		size_t consumed = 0;
		transcript_demand(reader_read(&r, copy + begin, len - begin, &limits, &consumed) == READER_COMMAND);
		transcript_demand(begin + consumed == c->end && r.argc == c->argc);
		transcript_demand(c->argv >= slots && c->argv + c->argc <= slots + 40);
		for (uint32_t a = 0; a < r.argc; a++)
			transcript_demand(c->argv[a].data == r.argv[a].data && c->argv[a].len == r.argv[a].len);
		begin = c->end;
	}
	reader_deinit(&r);
	free(copy);
	return n;
}
