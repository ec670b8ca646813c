/* The format. A control byte n below 32 precedes n + 1 literal bytes. Any other control byte begins a back-reference:
 * 3 bits of length, 5 bits of distance. If the length is 7, the decoder adds the next byte to it. The last byte holds
 * the low 8 bits of the distance. A reference copies length + 2 bytes from distance + 1 bytes back. Source and
 * destination may overlap.
 *
 *   000nnnnn n + 1 bytes        lllddddd dddddddd        111ddddd llllllll dddddddd
 *
 * The compressor keeps the last position of each hash of three bytes. The hash function and the positions that it
 * records are those of Redis, so that equal values have equal dumps. */
#include "atomdb/util/lzf.h"

#include <stdint.h>
#include <stdlib.h>

#include "atomdb/util/fiber.h"

#define HASH_SLOTS   65536u
#define LITERALS_MAX 32u   /* maximum length of a literal run */
#define DISTANCE_MAX 8192u /* maximum distance of a back-reference */
#define LENGTH_MAX   264u  /* maximum length of a back-reference */

/* Literal bytes, runs or references between two check points. */
#define CHECK_SYMBOLS 4096

struct output {
	uint8_t *bytes;
	size_t room;
	size_t at;       /* position of the next byte; the control byte of the run precedes its first byte */
	size_t literals; /* length of the current literal run */
};

static size_t slot_of(const uint8_t *p) {
	uint32_t three = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
	return ((three >> 8) - three * 5) % HASH_SLOTS;
}

static void begin_run(struct output *o) {
	o->literals = 0;
	o->at++;
}

/* Writes the control byte of the current run. If the run is empty, removes the byte reserved for it. */
static void end_run(struct output *o) {
	if (o->literals == 0)
		o->at--;
	else
		o->bytes[o->at - o->literals - 1] = (uint8_t)(o->literals - 1);
}

static void add_literal(struct output *o, uint8_t byte) {
	o->bytes[o->at++] = byte;
	if (++o->literals == LITERALS_MAX) {
		end_run(o);
		begin_run(o);
	}
}

static void add_reference(struct output *o, size_t distance, size_t length) {
	size_t code = length - 2, back = distance - 1;
	end_run(o);
	if (code < 7) {
		o->bytes[o->at++] = (uint8_t)(code << 5 | back >> 8);
	} else {
		o->bytes[o->at++] = (uint8_t)(7 << 5 | back >> 8);
		o->bytes[o->at++] = (uint8_t)(code - 7);
	}
	o->bytes[o->at++] = (uint8_t)back;
	begin_run(o);
}

/* Returns the number of equal bytes at `a` and `b`, at least three. `left` bytes remain at `b`. As in Redis, the match
 * excludes the last two bytes, unless the unrolled comparison of bytes 3 to 18 reaches them. */
static size_t same_bytes(const uint8_t *a, const uint8_t *b, size_t left) {
	size_t most = left - 2 < LENGTH_MAX ? left - 2 : LENGTH_MAX, n = 2;
	if (most > 16) {
		while (n < 18) {
			n++;
			if (a[n] != b[n])
				return n;
		}
	}
	do
		n++;
	while (n < most && a[n] == b[n]);
	return n;
}

/* Returns true if the three bytes at `before` equal those at `at` and are within DISTANCE_MAX. Position 0 means
 * "none". */
static bool repeats(const uint8_t *in, size_t before, size_t at) {
	return before != 0 && before < at && at - before <= DISTANCE_MAX && in[before] == in[at] &&
	       in[before + 1] == in[at + 1] && in[before + 2] == in[at + 2];
}

static size_t compress(const uint8_t *in, size_t len, struct output *o, uint32_t *places) {
	size_t at = 0, work = 0;
	begin_run(o);
	while (at + 2 < len) {
		(void)fiber_check_every(&work, 1, CHECK_SYMBOLS);
		uint32_t *place = &places[slot_of(in + at)];
		size_t before = *place;
		*place = (uint32_t)at;
		if (!repeats(in, before, at)) {
			if (o->at >= o->room)
				return 0;
			add_literal(o, in[at++]);
			continue;
		}
		if (o->at - (o->literals == 0) + 4 >= o->room)
			return 0;
		size_t length = same_bytes(in + before, in + at, len - at);
		work += length;
		add_reference(o, at - before, length);
		at += length;
		if (at + 2 >= len)
			break;
		places[slot_of(in + at - 2)] = (uint32_t)(at - 2);
		places[slot_of(in + at - 1)] = (uint32_t)(at - 1);
	}
	if (o->at + 3 > o->room)
		return 0;
	while (at < len)
		add_literal(o, in[at++]);
	end_run(o);
	return o->at;
}

size_t lzf_compress(struct slice in, char *out, size_t room) {
	if (in.len == 0 || room == 0 || in.len > UINT32_MAX)
		return 0;
	uint32_t *places = calloc(HASH_SLOTS, sizeof(*places));
	if (places == NULL)
		return 0;
	struct output o = {.bytes = (uint8_t *)out, .room = room};
	size_t n = compress((const uint8_t *)in.data, in.len, &o, places);
	free(places);
	return n;
}

bool lzf_expand(struct slice in, char *out, size_t len) {
	const uint8_t *p = (const uint8_t *)in.data, *end = p + in.len;
	size_t at = 0, work = 0;
	while (p < end) {
		(void)fiber_check_every(&work, 1, CHECK_SYMBOLS);
		size_t control = *p++, n = control + 1;
		if (control < LITERALS_MAX) {
			if (n > (size_t)(end - p) || n > len - at)
				return false;
			memcpy(out + at, p, n);
			p += n;
			at += n;
			work += n;
			continue;
		}
		n = control >> 5;
		if (n == 7 && p < end)
			n += *p++;
		if (p == end)
			return false;
		size_t distance = ((control & 31) << 8 | *p++) + 1;
		n += 2;
		if (distance > at || n > len - at)
			return false;
		work += n;
		for (; n > 0; n--, at++)
			out[at] = out[at - distance];
	}
	return at == len;
}
