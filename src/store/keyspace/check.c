/* The sum of an entry, in 16 lanes.
 *
 * Horner's rule runs over units of 16 bytes, the last one first. Therefore the weight of a unit is 5 to the power of
 * its number, whatever follows it. Then the 16 lanes are added with the weights 1, 3, 5 to 29 and 33. The last weight
 * is not 31, with which 16 bytes of one value would add up to 0. */
#include "store/keyspace/check.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "atomdb/util/fiber.h"
#include "store/arena/crash_point.h"

#define UNIT 16u
/* The check of an entry up to this size is computed from the whole entry after a change in place. */
#define SMALL 256u
/* Units that are summed up between two check points. */
#define PIECE_UNITS (CHECK_PIECE / UNIT)
/* The check of an entry of zeros, so that zeroed memory does not fit. */
#define START 0xa5

/* The lengths of a narrow entry, in `sizes`. A wide entry has them after the links. */
#define LENGTHS (ENTRY_NARROW_KEY | ENTRY_NARROW_VALUE << ENTRY_VALUE_SHIFT)

static inline uint32_t lengths_of(const struct entry *e, uint32_t owner) {
	return owner & (uint32_t)ENTRY_WIDE << 24 ? 0 : e->sizes & LENGTHS;
}

#ifdef __SSE2__
typedef __m128i lanes;

static inline lanes lanes_zero(void) {
	return _mm_setzero_si128();
}
static inline lanes lanes_first(uint32_t owner, uint32_t lengths) {
	return _mm_set_epi32(0, 0, (int)lengths, (int)owner);
}
static inline lanes lanes_half(const char *at) {
	return _mm_loadl_epi64((const __m128i *)(const void *)at);
}
static inline lanes lanes_load(const char *at) {
	return _mm_load_si128((const __m128i *)(const void *)at);
}
/* 5 s + w */
static inline lanes lanes_step(lanes s, lanes w) {
	lanes twice = _mm_add_epi8(s, s);
	return _mm_add_epi8(_mm_add_epi8(twice, twice), _mm_add_epi8(s, w));
}
static inline uint8_t lanes_sum(lanes s) {
	lanes even = _mm_and_si128(s, _mm_set1_epi16(0xff)), odd = _mm_srli_epi16(s, 8);
	lanes sums = _mm_add_epi32(_mm_madd_epi16(even, _mm_set_epi16(29, 25, 21, 17, 13, 9, 5, 1)),
				   _mm_madd_epi16(odd, _mm_set_epi16(33, 27, 23, 19, 15, 11, 7, 3)));
	sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
	sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xb1));
	return (uint8_t)_mm_cvtsi128_si32(sums);
}
#else
typedef struct {
	uint8_t bytes[UNIT];
} lanes;

static inline lanes lanes_zero(void) {
	return (lanes){{0}};
}
static inline lanes lanes_first(uint32_t owner, uint32_t lengths) {
	lanes l = {{0}};
	memcpy(l.bytes, &owner, sizeof owner);
	memcpy(l.bytes + sizeof owner, &lengths, sizeof lengths);
	return l;
}
static inline lanes lanes_half(const char *at) {
	lanes l = {{0}};
	memcpy(l.bytes, at, UNIT / 2);
	return l;
}
static inline lanes lanes_load(const char *at) {
	lanes l;
	memcpy(l.bytes, at, UNIT);
	return l;
}
static inline lanes lanes_step(lanes s, lanes w) {
	for (unsigned i = 0; i < UNIT; i++)
		s.bytes[i] = (uint8_t)(5 * s.bytes[i] + w.bytes[i]);
	return s;
}
static inline uint8_t lanes_sum(lanes s) {
	unsigned sum = 0;
	for (unsigned i = 0; i < UNIT; i++)
		sum += (i == UNIT - 1 ? 33 : 2 * i + 1) * s.bytes[i];
	return (uint8_t)sum;
}
#endif

static inline size_t units(size_t bytes) {
	return (bytes + UNIT - 1) / UNIT;
}

/* Returns the sum of an entry of `size` bytes. */
static inline uint8_t sum_all(const struct entry *e, uint32_t owner, size_t size) {
	bool ttl = (owner & (uint32_t)ENTRY_TTL << 24) != 0;
	const char *first = (const char *)(e + (ttl ? 2 : 1)), *at = (const char *)e + (size + UNIT - 1) / UNIT * UNIT;
	lanes sum = lanes_zero();
	while (at > first) {
		at -= UNIT;
		sum = lanes_step(sum, lanes_load(at));
	}
	if (ttl)
		sum = lanes_step(sum, lanes_half((const char *)(e + 1)));
	return lanes_sum(lanes_step(sum, lanes_first(owner & ENTRY_OWNER, lengths_of(e, owner))));
}

/* Returns the part that the units [from, to) have in the sum. */
static uint8_t sum_units(const struct entry *e, uint32_t owner, size_t from, size_t to) {
	bool ttl = (owner & (uint32_t)ENTRY_TTL << 24) != 0;
	size_t plain = ttl ? 2 : 1, stop = from > plain ? from : plain;
	lanes sum = lanes_zero();
	for (size_t i = to; i > stop; i--)
		sum = lanes_step(sum, lanes_load((const char *)e + (i - 1) * UNIT));
	if (ttl && from <= 1 && to > 1)
		sum = lanes_step(sum, lanes_half((const char *)(e + 1)));
	if (from == 0 && to != 0)
		sum = lanes_step(sum, lanes_first(owner & ENTRY_OWNER, lengths_of(e, owner)));
	uint8_t bytes = lanes_sum(sum);
	/* The order of 5 modulo 256 is 64. */
	for (size_t i = from % 64; i != 0; i--)
		bytes = (uint8_t)(5 * bytes);
	return bytes;
}

/* The same as sum_units() in pieces, with check points between them. */
static __attribute__((cold, noinline)) uint8_t sum_pieces(const struct entry *e, uint32_t owner, size_t from,
							  size_t to) {
	uint8_t sum = 0;
	for (; to - from > PIECE_UNITS; from += PIECE_UNITS) {
		sum = (uint8_t)(sum + sum_units(e, owner, from, from + PIECE_UNITS));
		(void)fiber_check();
	}
	return (uint8_t)(sum + sum_units(e, owner, from, to));
}

uint8_t check_of(const struct entry *e, uint32_t owner, size_t size) {
	return (uint8_t)(START + sum_all(e, owner, size));
}

uint8_t check_of_long(const struct entry *e, uint32_t owner, size_t size) {
	return (uint8_t)(START + sum_pieces(e, owner, 0, units(size)));
}

bool check_fits(const struct entry *e) {
	return check_of(e, e->owner, entry_size(e)) == entry_check(e);
}

static inline void set_check(struct entry *e, uint8_t check) {
	e->sizes = (e->sizes & ~ENTRY_SIZES_CHECK) | entry_sizes_check(check);
	e->owner = (e->owner & ~ENTRY_OWNER_CHECK) | entry_owner_check(check);
}

void check_renew(struct entry *e) {
	size_t size = entry_size(e);
	set_check(e, __builtin_expect(size > CHECK_PIECE, 0) ? check_of_long(e, e->owner, size)
							     : check_of(e, e->owner, size));
}

/* ---- changes in place ---- */

/* Returns the part that the units of an open change have in the sum: those of the header and of the changing bytes. */
static uint8_t sum_changing(const struct shard *s, const struct entry *e) {
	const struct entry_change *c = &s->scope.change;
	size_t header = units(entry_header_size(entry_flags(e))), end = units(entry_size(e));
	size_t from = c->from / UNIT < header ? header : c->from / UNIT, to = units(c->to) < end ? units(c->to) : end;
	return (uint8_t)(sum_units(e, e->owner, 0, header) + (from < to ? sum_pieces(e, e->owner, from, to) : 0));
}

void check_begin(struct shard *s, struct entry *e, size_t from, size_t to) {
	s->scope.change.whole = entry_size(e) <= SMALL;
	if (!s->scope.change.whole) {
		s->scope.change = (struct entry_change){.from = from, .to = to};
		s->scope.change.rest = (uint8_t)(entry_check(e) - sum_changing(s, e));
	}
	s->root->changing = entry_ref(s, e);
	crash_point();
}

void check_begin_whole(struct shard *s, ref block) {
	s->scope.change.whole = true;
	s->root->changing = block;
	crash_point();
}

void check_end(struct shard *s) {
	struct entry *e = entry_at(s, s->root->changing);
	crash_point();
	if (s->scope.change.whole)
		check_renew(e);
	else
		set_check(e, (uint8_t)(s->scope.change.rest + sum_changing(s, e)));
	crash_point();
	s->root->changing = 0;
	crash_point();
}
