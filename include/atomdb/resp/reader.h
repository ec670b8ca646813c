/* Bytes to commands: the request side of RESP, multibulk and inline.
 *
 * A reader is pure: bytes and limits in, a command and a count of consumed bytes out. It may be fed any prefix of the
 * input; a command split at any byte gives the same result as in one piece. Error texts are those of Redis 7.0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

/* Bytes of the longest line, without its end: an inline command or a header. */
#define READER_LINE_MAX ((size_t)64 * 1024)

enum reader_result {
	READER_UNFINISHED = 0, /* no complete command yet: feed the same bytes again with more behind them */
	READER_COMMAND = 1,    /* argc >= 1, argv set; `*consumed` says how many bytes they took (at least one) */
	READER_EMPTY = 2,      /* an empty line or "*0": nothing to run and nothing to answer; `*consumed` >= 1 */
	/* ATOMDB_E_PROTOCOL: `error` holds Redis's text, without "-ERR "; the connection is to be closed after it.
	 * ATOMDB_E_RANGE: the command needs more argument slots than `max_bytes` leaves room for.
	 * -ENOMEM. */
};

struct reader_limits {
	uint32_t max_args;  /* INT32_MAX; 10 for a client that has not authenticated */
	uint64_t max_bulk;  /* 512 MiB; 16 KiB for a client that has not authenticated */
	bool authenticated; /* chooses "unauthenticated ..." texts */
	size_t max_bytes;   /* what the command's argument slots may take on the heap */
};

/* One command being read. Reused for one command after another, so that its slots are allocated once. */
struct reader {
	struct slice *argv; /* owned; the slices point into the caller's bytes, or into `text` for inline commands */
	uint32_t argc;
	uint32_t cap;
	/* Progress within an unfinished command: nothing already parsed is parsed again. */
	uint32_t left;   /* arguments to come; 0 before the header */
	int64_t bulk;    /* length of the argument being read, -1 before its header */
	size_t position; /* bytes of this command already understood */
	size_t scanned;  /* bytes behind `position` known to hold no end of line */
	bool skipping;   /* the command was given up: `bulk` counts what is left of its argument, CRLF included */
	char *text;      /* owned: unquoted inline arguments; NULL until the first */
	size_t text_cap;
	const char *error; /* constant text, or points into error_text */
	char error_text[64];
};

void reader_init(struct reader *r);
void reader_deinit(struct reader *r);

/* Forgets any progress; keeps the slots, unless a large command made them many. */
void reader_reset(struct reader *r);

/* Overwrites what inline arguments were unquoted to. The arguments that were read are gone. */
void reader_wipe(struct reader *r);

/* Reads one command from `data`, whose first byte is the command's first byte also while it is unfinished.
 * After READER_COMMAND argv stays valid until the next reader_read or reader_reset and as long as `data` does. */
int reader_read(struct reader *r, const char *data, size_t len, const struct reader_limits *limits, size_t *consumed);

/* A command that was read: its arguments, and where the bytes behind it begin. */
struct reader_command {
	const struct slice *argv;
	uint32_t argc;
	size_t end; /* from the first byte that reader_read_usual was given */
};

/* Reads commands as clients nearly always send them: up to `max` of them that follow one another from the first of
 * `len` bytes on, each complete, of at most nine arguments of at most 99,999 bytes. Their arguments fill `slots`, of
 * which there are `slot_count`. Returns how many were read: what comes then is for reader_read, which accepts the same
 * commands and gives the same for them. It keeps nothing, and knows no limits but these: it is for clients that have
 * authenticated. */
unsigned reader_read_usual(const char *data, size_t len, struct slice *slots, size_t slot_count,
			   struct reader_command *out, unsigned max);

/* Whether the reader is in the middle of a command. */
static inline bool reader_busy(const struct reader *r) {
	return (r->position | r->scanned | r->skipping) != 0;
}

/* Gives up the unfinished command, which the caller does not want to hold: its arguments are forgotten, and the next
 * calls of reader_read only pass over it, until they return READER_EMPTY behind its last byte. While they return
 * READER_UNFINISHED, `*consumed` bytes are done with, and are not to be fed again. Returns how many of the bytes so far
 * are done with; 0: the command has only begun, and cannot be given up yet. */
size_t reader_give_up(struct reader *r);

/* Tells that the bytes of the unfinished command now begin at `to` instead of `from`. */
void reader_rebase(struct reader *r, const char *from, const char *to);

/* How many bytes in all the unfinished command is known to need, at least: lets a caller read a large argument straight
 * into a buffer of the right size. 0 when unknown. */
size_t reader_need(const struct reader *r);

/* Heap bytes behind the reader (argument slots, inline text), for the tenant's charge. */
size_t reader_memory(const struct reader *r);
