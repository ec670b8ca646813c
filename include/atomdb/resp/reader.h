/* Parses RESP requests, multibulk and inline.
 *
 * A reader has no side effects: it takes bytes and limits, and returns a command and the number of consumed bytes. It
 * accepts any prefix of the input. The result does not depend on where a command is split. Error texts are those of
 * Redis 7.0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Maximum length of a line, an inline command or a header, without its line end. */
#define READER_LINE_MAX ((size_t)64 * 1024)

enum reader_result {
	READER_UNFINISHED = 0, /* no complete command yet: call again with the same bytes and more after them */
	READER_COMMAND = 1,    /* argc >= 1, argv is set; `*consumed` is the length of the command (at least 1) */
	READER_EMPTY = 2,      /* an empty line or "*0", which has no reply; `*consumed` >= 1 */
	/* ATOMDB_E_PROTOCOL: `error` holds Redis's text, without "-ERR ". The caller closes the connection after
	 * sending it. ATOMDB_E_RANGE: the arguments need more slots than `max_bytes` allows. -ENOMEM. */
};

struct reader_limits {
	uint32_t max_args;  /* INT32_MAX; 10 for a client that has not authenticated */
	uint64_t max_bulk;  /* 512 MiB; 16 KiB for a client that has not authenticated */
	bool authenticated; /* selects the "unauthenticated ..." texts */
	size_t max_bytes;   /* maximum heap bytes of the argument slots */
};

/* Reads one command at a time. It keeps its slots for the next command. */
struct reader {
	struct slice *argv; /* owned; the slices point into the caller's bytes, or into `text` for inline commands */
	uint32_t argc;
	uint32_t cap;
	/* Progress in an unfinished command. Parsed bytes are not parsed again. */
	uint32_t left;   /* missing arguments; 0 before the header */
	int64_t bulk;    /* length of the current argument, -1 before its header */
	size_t position; /* parsed bytes of this command */
	size_t scanned;  /* bytes after `position` that hold no line end */
	bool skipping;   /* the command was given up: `bulk` counts the remaining bytes of its argument, with CRLF */
	char *text;      /* owned: unquoted inline arguments; NULL until the first */
	size_t text_cap;
	const char *error; /* constant text, or points to error_text */
	char error_text[64];
};

void reader_init(struct reader *r);
void reader_deinit(struct reader *r);

/* Discards any progress. Frees the slots only if a large command enlarged them. */
void reader_reset(struct reader *r);

/* Overwrites the unquoted inline arguments. The arguments of the last command are invalid afterwards. */
void reader_wipe(struct reader *r);

/* Reads one command from `data`. If the command is unfinished, call again with `data` pointing to its first byte. After
 * READER_COMMAND, argv is valid until the next reader_read() or reader_reset(), and as long as `data` is. */
int reader_read(struct reader *r, const char *data, size_t len, const struct reader_limits *limits, size_t *consumed);

/* A complete command: its arguments and its end. */
struct reader_command {
	const struct slice *argv;
	uint32_t argc;
	size_t end; /* offset from the start of the data passed to reader_read_usual() */
};

/* Fast path for usual commands of authenticated clients: reads up to `max` consecutive complete commands, each of at
 * most nine arguments of at most 99,999 bytes. The arguments fill `slots`, which has `slot_count` elements. Returns the
 * number of commands. The caller passes the rest to reader_read(), which gives the same result for these commands.
 * Keeps no state, and applies no other limits. */
unsigned reader_read_usual(const char *data, size_t len, struct slice *slots, size_t slot_count,
			   struct reader_command *out, unsigned max);

/* Returns true if the reader is in the middle of a command. */
static inline bool reader_busy(const struct reader *r) {
	return (r->position | r->scanned | r->skipping) != 0;
}

/* Gives up the unfinished command, so that the caller need not hold its bytes. The next calls of reader_read() skip the
 * rest of it, and return READER_EMPTY after its last byte. While they return READER_UNFINISHED, `*consumed` bytes are
 * done: do not pass them again. Returns the number of bytes that are done now, or 0 if the header is incomplete and the
 * command cannot be given up yet. */
size_t reader_give_up(struct reader *r);

/* Adjusts the arguments after the bytes of the unfinished command moved from `from` to `to`. */
void reader_rebase(struct reader *r, const char *from, const char *to);

/* Returns the minimum length of the unfinished command, 0 if unknown. The caller uses it to read a large argument into
 * a buffer of the right size. */
size_t reader_need(const struct reader *r);

/* Returns the heap bytes of the reader (argument slots, inline text), for the charge of the tenant. */
size_t reader_memory(const struct reader *r);
