/* Writes replies in RESP2 or RESP3. HELLO selects the protocol.
 *
 * A writer appends to a buffer of its caller. An error is sticky: if memory or the limit runs out, the writer sets
 * `failed` and appends nothing more. A long loop of the caller checks `failed`. As in Redis, RESP2 represents a map as
 * a flat array, a set as an array, a double as a bulk string, and null as "$-1". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/buffer.h"
#include "atomdb/util/slice.h"

/* Maximum length of an error code, the first word of an error. */
#define WRITER_CODE 31

struct writer {
	struct buffer *out;                       /* destination */
	size_t limit;                             /* maximum length of `out` */
	uint8_t protocol;                         /* 2 or 3 */
	bool muted;                               /* discard everything: CLIENT REPLY OFF and SKIP */
	bool failed;                              /* memory or the limit ran out */
	bool (*grow)(struct writer *w, size_t n); /* adds `n` to `limit`, or returns false; NULL: never */
	size_t begin;                             /* start of the reply to the current command; set by the caller */
	uint64_t errors;                          /* error replies written, for the count of failed calls */
	char code[WRITER_CODE + 1]; /* code of the latest error, "ERR" if it has none; valid after the first error */
};

void writer_init(struct writer *w, struct buffer *out, size_t limit);

/* Returns true if the writer discards its input. A loop that only writes may stop then. */
static inline bool writer_drops(const struct writer *w) {
	return w->failed || w->muted;
}

/* Returns true if `n` more bytes may be written, otherwise the writer fails. */
bool writer_fits(struct writer *w, size_t n);

/* Writes bytes that are already RESP. */
void writer_raw(struct writer *w, struct slice bytes);
#define writer_constant(w, literal) writer_raw((w), SLICE(literal))

void writer_ok(struct writer *w);                       /* +OK */
void writer_simple(struct writer *w, const char *text); /* without CR and LF */
/* `text` begins with its code ("ERR …", "WRONGPASS …"). CR and LF become spaces. */
void writer_error(struct writer *w, const char *text);
void writer_errorf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void writer_integer(struct writer *w, int64_t value);
void writer_bulk(struct writer *w, struct slice bytes);
/* Writes the header of a bulk string of `len` bytes. The caller sends the bytes and CRLF itself. */
void writer_bulk_head(struct writer *w, size_t len);
void writer_bulk_integer(struct writer *w, int64_t value); /* the decimal text as a bulk string */
void writer_null(struct writer *w);                        /* $-1 or _ */
void writer_null_array(struct writer *w);                  /* *-1 or _ */
void writer_bool(struct writer *w, bool value);            /* :1 :0 or #t #f */
void writer_double(struct writer *w, double value);
void writer_verbatim(struct writer *w, const char *format3, struct slice text); /* RESP2: bulk */
void writer_array(struct writer *w, size_t elements);
void writer_map(struct writer *w, size_t pairs);
void writer_set(struct writer *w, size_t elements);
void writer_push(struct writer *w, size_t elements); /* RESP2: array */

/* For an array whose length is known only after its elements: call writer_mark(), write the elements, then insert the
 * header with the count at the mark. A mark is valid as long as the caller only appends to the buffer. */
size_t writer_mark(const struct writer *w);
void writer_array_at(struct writer *w, size_t mark, size_t elements);
/* Inserts RESP bytes at the mark. */
void writer_raw_at(struct writer *w, size_t mark, struct slice bytes);
