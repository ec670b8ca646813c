/* Replies to bytes, in RESP2 or RESP3, whichever the client chose with HELLO.
 *
 * A writer appends to a buffer that somebody else owns. Failure is sticky: when memory or the limit runs out, `failed`
 * is set and nothing more is appended. A caller that writes much looks at it now and then, and stops. A type that RESP2
 * lacks is written as Redis writes it there: a map as a flat array, a set as an array, a double as a bulk string, null
 * as "$-1". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"

/* Of an error's code, the word in front, the bytes that are looked at. */
#define WRITER_CODE 31

struct writer {
	struct buffer *out;                       /* where the bytes go */
	size_t limit;                             /* bytes that `out` may hold in all */
	uint8_t protocol;                         /* 2 or 3 */
	bool muted;                               /* drop everything: CLIENT REPLY OFF and SKIP */
	bool failed;                              /* memory or limit ran out */
	bool (*grow)(struct writer *w, size_t n); /* raises `limit` for `n` bytes more, if it may; NULL: never */
	size_t begin;                             /* where the reply to the running command begins: its caller's own */
	uint64_t errors;                          /* count of error replies written, for the failed-calls figure */
	char code[WRITER_CODE + 1]; /* of the latest of them, "ERR" where it has none; valid once there was one */
};

void writer_init(struct writer *w, struct buffer *out, size_t limit);

/* Whether the writer drops what is written. A loop that only writes ends then. */
static inline bool writer_drops(const struct writer *w) {
	return w->failed || w->muted;
}

/* Whether `n` bytes more may be written; if not, the writer has failed. */
bool writer_fits(struct writer *w, size_t n);

/* Bytes that are RESP already. */
void writer_raw(struct writer *w, struct slice bytes);
#define writer_constant(w, literal) writer_raw((w), SLICE(literal))

void writer_ok(struct writer *w);                       /* +OK */
void writer_simple(struct writer *w, const char *text); /* no CR or LF in it */
/* `text` begins with its code ("ERR …", "WRONGPASS …"); CR and LF in it become spaces. */
void writer_error(struct writer *w, const char *text);
void writer_errorf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void writer_integer(struct writer *w, int64_t value);
void writer_bulk(struct writer *w, struct slice bytes);
/* The head of a bulk string of `len` bytes; the caller sends these, and CRLF, itself. */
void writer_bulk_head(struct writer *w, size_t len);
void writer_bulk_integer(struct writer *w, int64_t value); /* a bulk string of its decimal text */
void writer_null(struct writer *w);                        /* $-1 or _ */
void writer_null_array(struct writer *w);                  /* *-1 or _ */
void writer_bool(struct writer *w, bool value);            /* :1 :0 or #t #f */
void writer_double(struct writer *w, double value);
void writer_verbatim(struct writer *w, const char *format3, struct slice text); /* RESP2: bulk */
void writer_array(struct writer *w, size_t elements);
void writer_map(struct writer *w, size_t pairs);
void writer_set(struct writer *w, size_t elements);
void writer_push(struct writer *w, size_t elements); /* RESP2: array */

/* An array, set or map whose length is known only after its elements: begin, write the elements, then end with the
 * count. `writer_mark` values stay valid while nothing but appends happen to the buffer. */
size_t writer_mark(const struct writer *w);
void writer_array_at(struct writer *w, size_t mark, size_t elements);
/* The same for any bytes that are RESP and belong in front of what was written since. */
void writer_raw_at(struct writer *w, size_t mark, struct slice bytes);
