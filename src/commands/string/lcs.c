/* LCS: the longest common subsequence of two values.
 *
 * The textbook's table of lengths, of which only two rows are in memory. One bit a cell tells where the way back from
 * it leads: up (skips a byte of the first value) or left (skips a byte of the second). The bits take a thirty-second of
 * the whole table. */
#include <stdlib.h>

#include "atomdb/session/options.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/heap.h"
#include "commands/handlers.h"

/* Maximum memory of the table, as in Redis: 4 bytes a cell, and the size of the largest value in all. */
#define CELLS_MAX (STRING_MAX / sizeof(uint32_t))

/* Cells between two check points. */
#define CHECK_CELLS ((size_t)4096)

struct lcs {
	struct slice a, b;
	uint8_t *up;   /* owned: bit i * (b.len + 1) + j */
	size_t bits;   /* bytes of `up` */
	uint32_t *row; /* owned: lengths of the row above, then of the present one */
	uint32_t length;
};

struct lcs_options {
	bool only_length;
	bool ranges;
	bool with_lengths;
	int64_t least; /* shorter ranges are left out */
};

static bool lcs_init(const struct tenant *t, struct lcs *l, struct slice a, struct slice b) {
	size_t width = b.len + 1, bits = (a.len + 1) * width / 8 + 1;
	*l = (struct lcs){.a = a, .b = b};
	if (bits + width * sizeof(*l->row) > tenant_scratch_limit(t))
		return false;
	l->bits = bits;
	l->up = heap_zeros(bits);
	l->row = heap_zeros(width * sizeof(*l->row));
	return l->up != NULL && l->row != NULL;
}

static void lcs_deinit(struct lcs *l) {
	heap_free(l->up, l->bits);
	heap_free(l->row, (l->b.len + 1) * sizeof(*l->row));
}

/* Of a row, the lengths to the left of a cell and above that. */
struct lcs_row {
	uint32_t left;   /* of this row */
	uint32_t corner; /* of the row above */
};

/* Fills row `i` from column `j` to before `end`. */
static void fill_cells(struct lcs *l, struct lcs_row *r, size_t i, size_t j, size_t end) {
	uint32_t corner = r->corner, left = r->left;
	const char byte = l->a.data[i - 1];
	for (; j < end; j++) {
		uint32_t above = l->row[j], here;
		size_t cell = i * (l->b.len + 1) + j;
		if (byte == l->b.data[j - 1]) {
			here = corner + 1;
		} else if (above > left) {
			here = above;
			l->up[cell / 8] |= (uint8_t)(1 << cell % 8);
		} else {
			here = left;
		}
		corner = above;
		left = l->row[j] = here;
	}
	*r = (struct lcs_row){left, corner};
}

/* Returns false if the result is not wanted any more. */
static bool lcs_fill(struct lcs *l) {
	size_t width = l->b.len + 1, work = 0;
	for (size_t i = 1; i <= l->a.len; i++) {
		struct lcs_row r = {0};
		if (fiber_check_every(&work, 1, CHECK_CELLS))
			return false;
		for (size_t j = 1; j < width; j += CHECK_CELLS) {
			size_t end = width - j > CHECK_CELLS ? j + CHECK_CELLS : width;
			fill_cells(l, &r, i, j, end);
			if (fiber_check_every(&work, end - j, CHECK_CELLS))
				return false;
		}
	}
	l->length = l->row[l->b.len];
	return true;
}

static void reply_pair(struct writer *w, size_t first, size_t last) {
	writer_array(w, 2);
	writer_integer(w, (int64_t)first);
	writer_integer(w, (int64_t)last);
}

/* Walks from the end of both values to their beginning. Writes the common bytes to `text`, from its end on, and the
 * ranges to `w`. Either may be NULL. Returns the number of ranges written. */
static size_t lcs_trace(const struct lcs *l, const struct lcs_options *o, char *text, struct writer *w) {
	size_t i = l->a.len, j = l->b.len, at = l->length, ranges = 0, work = 0;
	while (i > 0 && j > 0 && (w == NULL || !writer_drops(w))) {
		size_t n = 0;
		for (; i > 0 && j > 0 && l->a.data[i - 1] == l->b.data[j - 1]; i--, j--, n++) {
			if (text != NULL)
				text[--at] = l->a.data[i - 1];
			(void)fiber_check_every(&work, 1, CHECK_CELLS);
		}
		if (fiber_check_every(&work, 1, CHECK_CELLS))
			break;
		if (n != 0) {
			if (w == NULL || (int64_t)n < o->least)
				continue;
			writer_array(w, o->with_lengths ? 3 : 2);
			reply_pair(w, i, i + n - 1);
			reply_pair(w, j, j + n - 1);
			if (o->with_lengths)
				writer_integer(w, (int64_t)n);
			ranges++;
			continue;
		}
		size_t cell = i * (l->b.len + 1) + j;
		if (l->up[cell / 8] >> cell % 8 & 1)
			i--;
		else
			j--;
	}
	return ranges;
}

enum { OPTION_IDX = 1 << 0, OPTION_LEN = 1 << 1, OPTION_WITHMATCHLEN = 1 << 2, OPTION_MINMATCHLEN = 1 << 3 };

static const struct command_option options[] = {
	OPTION("idx", .flag = OPTION_IDX),
	OPTION("len", .flag = OPTION_LEN),
	OPTION("withmatchlen", .flag = OPTION_WITHMATCHLEN),
	OPTION("minmatchlen", .flag = OPTION_MINMATCHLEN, .values = 1),
};

/* False: an error was replied. */
static bool parse_options(struct session *s, const struct request *r, struct lcs_options *out) {
	struct options o = OPTIONS_BEGIN(r, 3, options);
	const struct command_option *option;
	while ((option = options_next(&o)) != NULL) {
		if (option->values != 0 && !request_integer(s, *o.value, &out->least))
			return false;
	}
	out->ranges = (o.seen & OPTION_IDX) != 0;
	out->only_length = (o.seen & OPTION_LEN) != 0;
	out->with_lengths = (o.seen & OPTION_WITHMATCHLEN) != 0;
	if (o.error != OPTIONS_OK)
		reply_syntax_error(s);
	else if (out->ranges && out->only_length)
		writer_error(s->reply, "ERR If you want both the length and indexes, please just use IDX.");
	return o.error == OPTIONS_OK && !(out->ranges && out->only_length);
}

static void reply_lcs(struct session *s, const struct lcs *l, const struct lcs_options *o) {
	struct writer *w = s->reply;
	if (o->ranges) {
		writer_map(w, 2);
		writer_bulk(w, SLICE("matches"));
		size_t mark = writer_mark(w);
		writer_array_at(w, mark, lcs_trace(l, o, NULL, w));
		writer_bulk(w, SLICE("len"));
		writer_integer(w, l->length);
	} else if (o->only_length) {
		writer_integer(w, l->length);
	} else {
		char *text = heap_resize(NULL, 0, (size_t)l->length + 1);
		if (text == NULL) {
			writer_error(w, "ERR Insufficient memory, failed allocating transient memory for LCS");
			return;
		}
		lcs_trace(l, o, text, NULL);
		writer_bulk(w, (struct slice){text, l->length});
		heap_free(text, (size_t)l->length + 1);
	}
}

enum outcome cmd_lcs(struct session *s, const struct request *r) {
	struct key first = request_key(s, r, 1), second = request_key(s, r, 2);
	char texts[2][STRING_TEXT];
	/* The second lookup may remove a due entry, but not the first one. */
	struct string *one, *other;
	if (string_find(s->tenant, &first, LOOKUP_READ, &one) != 0 ||
	    string_find(s->tenant, &second, LOOKUP_READ, &other) != 0)
		return reply_error(s, "ERR The specified keys must contain string values");
	struct slice a = string_value_or_empty(one, texts[0]), b = string_value_or_empty(other, texts[1]);
	struct lcs_options wanted = {.least = 0};
	struct lcs l;
	if (!parse_options(s, r, &wanted))
		return OUTCOME_DONE;
	if ((a.len + 1) * (b.len + 1) > CELLS_MAX)
		return reply_error(s, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
	if (lcs_init(s->tenant, &l, a, b)) {
		if (lcs_fill(&l))
			reply_lcs(s, &l, &wanted);
	} else {
		writer_error(s->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
	}
	lcs_deinit(&l);
	return OUTCOME_DONE;
}
