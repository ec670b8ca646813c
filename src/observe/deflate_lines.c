/* LZ77 in the format of RFC 1951. It compares only with the same column of the line above. Rows of a metric differ in a
 * label and a value, so that this comparison finds most matches without a search. The stream is one block with the
 * fixed codes of the format.
 *
 *   atomdb_tenant_keys{tenant="a51f0c3e9d27"} 12      the line above, `distance` bytes before
 *   atomdb_tenant_keys{tenant="c90b74aa1e5d"} 7       <match of 27> c 9 0 b … <match of 3> 7 \n */
#include "observe/deflate_lines.h"

#include <stdint.h>
#include <string.h>

#define MATCH_MIN 3
#define MATCH_MAX 258
#define WINDOW    32768
#define SLACK     16

/* A code in the order of the stream: its first bit is the lowest, and the extra bits of a length are above it. */
struct code {
	uint32_t bits;
	uint32_t count;
};

struct deflater {
	struct code literals[256];
	struct code lengths[MATCH_MAX + 1];
	uint64_t held; /* bits that are not written yet */
	unsigned held_count;
	char *at;
};

/* Codes are defined with their highest bit first in the stream: reverse them. */
static uint32_t reversed(uint32_t code, unsigned count) {
	uint32_t out = 0;
	for (unsigned i = 0; i < count; i++)
		out |= (code >> i & 1) << (count - 1 - i);
	return out;
}

/* Returns the fixed code of a symbol of the alphabet of literals and lengths. */
static struct code symbol_code(unsigned symbol) {
	if (symbol < 144)
		return (struct code){reversed(0x30 + symbol, 8), 8};
	if (symbol < 256)
		return (struct code){reversed(0x190 + symbol - 144, 9), 9};
	if (symbol < 280)
		return (struct code){reversed(symbol - 256, 7), 7};
	return (struct code){reversed(0xc0 + symbol - 280, 8), 8};
}

static void init_codes(struct deflater *p) {
	for (unsigned i = 0; i < 256; i++)
		p->literals[i] = symbol_code(i);
	/* Eight symbols stand for one length each, then groups of four for 2, 4, 8, 16 and 32 lengths. */
	unsigned length = MATCH_MIN;
	for (unsigned symbol = 257; symbol < 285; symbol++) {
		unsigned extra = symbol < 265 ? 0 : (symbol - 261) / 4;
		struct code c = symbol_code(symbol);
		for (unsigned i = 0; i < 1u << extra && length < MATCH_MAX; i++)
			p->lengths[length++] = (struct code){c.bits | i << c.count, c.count + extra};
	}
	p->lengths[MATCH_MAX] = symbol_code(285);
}

/* Little-endian. */
static inline void put_bytes(char *to, uint32_t value) {
	for (unsigned i = 0; i < 4; i++)
		to[i] = (char)(value >> (8 * i));
}

static inline void put(struct deflater *p, uint32_t bits, unsigned count) {
	p->held |= (uint64_t)bits << p->held_count;
	p->held_count += count;
	if (p->held_count >= 32) {
		put_bytes(p->at, (uint32_t)p->held);
		p->at += 4;
		p->held >>= 32;
		p->held_count -= 32;
	}
}

/* Each doubling of the distance has two symbols; extra bits select the distance within a symbol. */
static struct code distance_code(size_t distance) {
	uint32_t d = (uint32_t)distance - 1;
	if (d < 4)
		return (struct code){reversed(d, 5), 5};
	unsigned extra = 30 - (unsigned)__builtin_clz(d);
	uint32_t symbol = 2 * extra + (d >> extra);
	return (struct code){reversed(symbol, 5) | (d & ((1u << extra) - 1)) << 5, 5 + extra};
}

static size_t match_length(const char *a, const char *b, size_t most) {
	size_t n = 0;
	while (n + 8 <= most) {
		uint64_t x, y;
		memcpy(&x, a + n, 8);
		memcpy(&y, b + n, 8);
		if (x != y)
			break;
		n += 8;
	}
	while (n < most && a[n] == b[n])
		n++;
	return n;
}

/* Compresses the line from `line` to `end`. `above` is the start of the line above, or NULL if none is within the
 * window. */
static void deflate_line(struct deflater *p, const char *line, const char *end, const char *above) {
	struct code distance = above == NULL ? (struct code){0} : distance_code((size_t)(line - above));
	while (line < end) {
		size_t most = (size_t)(end - line), n = 0;
		if (above != NULL)
			n = match_length(line, above, most < MATCH_MAX ? most : MATCH_MAX);
		if (n >= MATCH_MIN) {
			put(p, p->lengths[n].bits, p->lengths[n].count);
			put(p, distance.bits, distance.count);
		} else {
			n = 1;
			struct code c = p->literals[(unsigned char)*line];
			put(p, c.bits, c.count);
		}
		line += n;
		above = above == NULL ? NULL : above + n;
	}
}

/* Ends the block and the stream: a symbol of seven zeros, and zeros up to the end of the byte. */
static void finish(struct deflater *p) {
	put(p, 0, 7);
	put_bytes(p->at, (uint32_t)p->held);
	p->at += (p->held_count + 7) / 8;
}

int deflate_lines(struct slice page, struct buffer *out) {
	struct deflater p = {0};
	/* The longest code of a literal has nine bits. */
	int error = buffer_reserve(out, page.len + page.len / 8 + SLACK, SIZE_MAX);
	if (error != 0)
		return error;
	p.at = out->data + out->len;
	init_codes(&p);
	put(&p, 3, 3); /* the last block, with fixed codes */
	const char *above = NULL, *line = page.len > 0 ? page.data : "", *end = line + page.len;
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		next = next == NULL ? end : next + 1;
		deflate_line(&p, line, next, above != NULL && line - above <= WINDOW ? above : NULL);
		above = line;
		line = next;
	}
	finish(&p);
	out->len = (size_t)(p.at - out->data);
	return 0;
}
