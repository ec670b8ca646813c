/* An element's hash chooses one of 16384 registers, and the register keeps the longest run of zeros, plus one, seen in
 * the rest of such hashes (Flajolet et al., 2007). The estimate is Ertl's (2017), from the histogram of the registers.
 *
 *   "HYLL" | form (1 byte: 0 dense, 1 sparse) | 3 unused | last estimate (8 bytes, low first; highest bit: it is old)
 *
 * dense: 6 bits a register, low bits first. Sparse: a sequence of opcodes that covers all registers:
 *
 *   00nnnnnn            n + 1 registers of 0
 *   01nnnnnn nnnnnnnn   n + 1 registers of 0, high byte first
 *   1vvvvvnn            n + 1 registers of v + 1
 *
 * Different opcodes can stand for the same registers. They are chosen as in Redis, so that the same elements in the
 * same order make the same bytes. */
#include "commands/hyperloglog/hll.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"

#define HASH_SEED     0xadc83b19
#define INDEX_BITS    14
#define COUNT_BITS    (64 - INDEX_BITS) /* bits of the hash in which zeros are counted; a count is at most one more */
#define COUNTS        64
#define FORM_AT       4
#define FORM_DENSE    0
#define FORM_SPARSE   1
#define SPARSE_LIMIT  3000 /* bytes at which a sparse value that must grow becomes dense */
#define SPARSE_VALUE  32   /* the largest count that an opcode has */
#define VALUE_RUN     4    /* registers that one opcode with a count covers */
#define SHORT_ZEROS   64   /* registers of 0 that an opcode of one byte covers */
#define ALPHA         0.721347520444481703680
#define MERGE_OPCODES 5 /* opcodes checked after a change for neighbours to join */

/* Bytes that are hashed between two check points. */
#define CHECK_BYTES ((size_t)64 << 10)

/* MurmurHash64A (Appleby, 2008). */
static uint64_t hash_element(struct slice element) {
	const uint64_t factor = 0xc6a4a7935bd1e995;
	const char *p = element.data;
	size_t left = element.len;
	uint64_t hash = HASH_SEED ^ element.len * factor, word;
	size_t work = 0;
	for (; left >= 8; left -= 8, p += 8) {
		(void)fiber_check_every(&work, 8, CHECK_BYTES);
		memcpy(&word, p, 8);
		word *= factor;
		word ^= word >> 47;
		hash = (hash ^ word * factor) * factor;
	}
	if (left != 0) {
		word = 0;
		memcpy(&word, p, left);
		hash = (hash ^ word) * factor;
	}
	hash ^= hash >> 47;
	hash *= factor;
	return hash ^ hash >> 47;
}

static unsigned count_of(struct slice element, unsigned *index) {
	uint64_t hash = hash_element(element);
	*index = hash % HLL_REGISTERS;
	return (unsigned)__builtin_ctzll(hash >> INDEX_BITS | (uint64_t)1 << COUNT_BITS) + 1;
}

bool hll_is_dense(struct slice value) {
	return value.data[FORM_AT] == FORM_DENSE;
}

bool hll_is(struct slice value) {
	if (value.len < HLL_HEADER || memcmp(value.data, "HYLL", 4) != 0)
		return false;
	return value.data[FORM_AT] == FORM_SPARSE || (hll_is_dense(value) && value.len == HLL_DENSE_SIZE);
}

bool hll_cached(struct slice value, uint64_t *count) {
	memcpy(count, value.data + HLL_CACHE_AT, HLL_CACHE_BYTES);
	return *count >> 63 == 0;
}

void hll_cache(uint8_t *bytes, uint64_t count) {
	memcpy(bytes + HLL_CACHE_AT, &count, HLL_CACHE_BYTES);
}

void hll_forget(uint8_t *bytes) {
	bytes[HLL_CACHE_AT + HLL_CACHE_BYTES - 1] |= 0x80;
}

static unsigned dense_get(const uint8_t *registers, unsigned index) {
	unsigned bit = index * 6, word = registers[bit / 8];
	if (bit % 8 > 2)
		word |= (unsigned)registers[bit / 8 + 1] << 8;
	return word >> bit % 8 & 63;
}

static void dense_set(uint8_t *registers, unsigned index, unsigned count) {
	unsigned bit = index * 6, shift = bit % 8;
	uint8_t *p = registers + bit / 8;
	p[0] = (uint8_t)((p[0] & ~(63u << shift)) | count << shift);
	if (shift > 2)
		p[1] = (uint8_t)((p[1] & ~(63u >> (8 - shift))) | count >> (8 - shift));
}

static bool dense_raise(uint8_t *bytes, unsigned index, unsigned count) {
	if (count <= dense_get(bytes + HLL_HEADER, index))
		return false;
	dense_set(bytes + HLL_HEADER, index, count);
	return true;
}

/* One opcode: `registers` registers with the same count. */
struct opcode {
	unsigned registers;
	unsigned count;
	unsigned bytes;
};

/* Reads the opcode at `p`. Returns false at the end, or if the opcode is cut off. */
static bool opcode_read(const uint8_t *p, const uint8_t *end, struct opcode *o) {
	if (p >= end)
		return false;
	if (p[0] & 0x80) {
		*o = (struct opcode){(p[0] & 3u) + 1, (p[0] >> 2 & 31u) + 1, 1};
	} else if (p[0] & 0x40) {
		if (end - p < 2)
			return false;
		*o = (struct opcode){((p[0] & 63u) << 8 | p[1]) + 1, 0, 2};
	} else {
		*o = (struct opcode){(p[0] & 63u) + 1, 0, 1};
	}
	return true;
}

static uint8_t *put_value(uint8_t *p, unsigned count, unsigned registers) {
	*p = (uint8_t)(0x80 | (count - 1) << 2 | (registers - 1));
	return p + 1;
}

/* Writes nothing for no registers. */
static uint8_t *put_zeros(uint8_t *p, unsigned registers) {
	if (registers == 0)
		return p;
	unsigned n = registers - 1;
	if (registers <= SHORT_ZEROS) {
		*p++ = (uint8_t)n;
	} else {
		*p++ = (uint8_t)(0x40 | n >> 8);
		*p++ = (uint8_t)n;
	}
	return p;
}

void hll_init(struct hll *h) {
	memset(h->bytes, 0, HLL_HEADER);
	memcpy(h->bytes, "HYLL", 4);
	h->bytes[FORM_AT] = FORM_SPARSE;
	h->len = (size_t)(put_zeros(h->bytes + HLL_HEADER, HLL_REGISTERS) - h->bytes);
}

int hll_load(struct hll *h, struct slice value) {
	if (value.len > HLL_SPARSE_MAX)
		return ATOMDB_E_FORMAT;
	memcpy(h->bytes, value.data, value.len);
	h->len = value.len;
	return 0;
}

int hll_merge(uint8_t registers[HLL_REGISTERS], struct slice value) {
	const uint8_t *p = (const uint8_t *)value.data + HLL_HEADER, *end = (const uint8_t *)value.data + value.len;
	unsigned index = 0;
	if (hll_is_dense(value)) {
		for (; index < HLL_REGISTERS; index++) {
			unsigned count = dense_get(p, index);
			if (count > registers[index])
				registers[index] = (uint8_t)count;
		}
		return 0;
	}
	for (struct opcode o; opcode_read(p, end, &o); p += o.bytes) {
		/* Counts after the last register are skipped, as in Redis. */
		if (o.registers > HLL_REGISTERS - index)
			return o.count != 0 && index == HLL_REGISTERS ? 0 : ATOMDB_E_FORMAT;
		for (unsigned i = 0; i < o.registers; i++, index++) {
			if (o.count > registers[index])
				registers[index] = (uint8_t)o.count;
		}
	}
	/* An opcode may have been cut off. */
	return index == HLL_REGISTERS && p == end ? 0 : ATOMDB_E_FORMAT;
}

int hll_make_dense(struct hll *h) {
	uint8_t registers[HLL_REGISTERS] = {0};
	struct slice value = {(const char *)h->bytes, h->len};
	if (hll_is_dense(value))
		return 0;
	int error = hll_merge(registers, value);
	if (error != 0)
		return error;
	h->bytes[FORM_AT] = FORM_DENSE;
	h->len = HLL_DENSE_SIZE;
	memset(h->bytes + HLL_HEADER, 0, HLL_DENSE_SIZE - HLL_HEADER);
	for (unsigned i = 0; i < HLL_REGISTERS; i++)
		dense_set(h->bytes + HLL_HEADER, i, registers[i]);
	return 0;
}

/* Joins neighbouring opcodes of the same count, from the one at `p` on. */
static void join_values(struct hll *h, uint8_t *p) {
	struct opcode o, next;
	for (unsigned looked = 0; looked < MERGE_OPCODES; looked++) {
		uint8_t *end = h->bytes + h->len;
		if (!opcode_read(p, end, &o))
			return;
		if (o.count != 0 && opcode_read(p + 1, end, &next) && next.count == o.count &&
		    o.registers + next.registers <= VALUE_RUN) {
			put_value(p + 1, o.count, o.registers + next.registers);
			memmove(p, p + 1, (size_t)(end - p - 1));
			h->len--;
			continue;
		}
		p += o.bytes;
	}
}

static int promote(struct hll *h, unsigned index, unsigned count) {
	int error = hll_make_dense(h);
	return error != 0 ? error : dense_raise(h->bytes, index, count);
}

static int sparse_raise(struct hll *h, unsigned index, unsigned count) {
	uint8_t *start = h->bytes + HLL_HEADER, *end = h->bytes + h->len, *p = start, *before = start;
	struct opcode o;
	unsigned first = 0;
	if (count > SPARSE_VALUE)
		return promote(h, index, count);
	for (;; first += o.registers, before = p, p += o.bytes) {
		if (!opcode_read(p, end, &o))
			return ATOMDB_E_FORMAT;
		if (index < first + o.registers)
			break;
	}
	if (o.count >= count)
		return 0;
	/* Splits the opcode into the registers before this one, this one, and those after it. */
	uint8_t parts[5], *n = parts;
	unsigned ahead = index - first, behind = o.registers - 1 - ahead;
	if (o.count == 0)
		n = put_zeros(n, ahead);
	else if (ahead != 0)
		n = put_value(n, o.count, ahead);
	n = put_value(n, count, 1);
	if (o.count == 0)
		n = put_zeros(n, behind);
	else if (behind != 0)
		n = put_value(n, o.count, behind);
	size_t size = (size_t)(n - parts);
	if (size > o.bytes && h->len + size - o.bytes > SPARSE_LIMIT)
		return promote(h, index, count);
	memmove(p + size, p + o.bytes, (size_t)(end - p) - o.bytes);
	memcpy(p, parts, size);
	h->len += size - o.bytes;
	join_values(h, before);
	hll_forget(h->bytes);
	return 1;
}

int hll_raise(struct hll *h, unsigned index, unsigned count) {
	if (h->bytes[FORM_AT] == FORM_DENSE)
		return dense_raise(h->bytes, index, count);
	return sparse_raise(h, index, count);
}

int hll_add(struct hll *h, struct slice element) {
	unsigned index, count = count_of(element, &index);
	return hll_raise(h, index, count);
}

bool hll_lacks_dense(const uint8_t *bytes, struct slice element) {
	unsigned index, count = count_of(element, &index);
	return count > dense_get(bytes + HLL_HEADER, index);
}

bool hll_add_dense(uint8_t *bytes, struct slice element) {
	unsigned index, count = count_of(element, &index);
	return dense_raise(bytes, index, count);
}

int hll_decode(struct slice value, struct buffer *out) {
	const uint8_t *p = (const uint8_t *)value.data + HLL_HEADER, *end = (const uint8_t *)value.data + value.len;
	for (struct opcode o; opcode_read(p, end, &o); p += o.bytes) {
		char text[32];
		const char *space = out->len == 0 ? "" : " ";
		int n = o.count != 0
				? snprintf(text, sizeof(text), "%sv:%u,%u", space, o.count, o.registers)
				: snprintf(text, sizeof(text), "%s%c:%u", space, o.bytes == 1 ? 'z' : 'Z', o.registers);
		if (buffer_append(out, text, (size_t)n, SIZE_MAX) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* The sum over x^(2^k) * 2^(k-1), and x: what registers of 0 contribute. */
static double sigma(double x) {
	double weight = 1, sum = x, last;
	if (x == 1.)
		return INFINITY;
	do {
		x *= x;
		last = sum;
		sum += x * weight;
		weight += weight;
	} while (last != sum);
	return sum;
}

/* The contribution of registers at the largest count. */
static double tau(double x) {
	double weight = 1, sum = 1 - x, last;
	if (x == 0. || x == 1.)
		return 0;
	do {
		x = sqrt(x);
		last = sum;
		weight *= 0.5;
		sum -= (1 - x) * (1 - x) * weight;
	} while (last != sum);
	return sum / 3;
}

static uint64_t estimate(const unsigned histogram[COUNTS]) {
	double m = HLL_REGISTERS;
	double z = m * tau((m - histogram[COUNT_BITS + 1]) / m);
	for (unsigned count = COUNT_BITS; count >= 1; count--) {
		z += histogram[count];
		z *= 0.5;
	}
	z += m * sigma(histogram[0] / m);
	return (uint64_t)llroundl((long double)(ALPHA * m * m / z));
}

uint64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS]) {
	unsigned histogram[COUNTS] = {0};
	for (unsigned i = 0; i < HLL_REGISTERS; i++)
		histogram[registers[i]]++;
	return estimate(histogram);
}

/* Returns whether the opcodes of a sparse value cover each register once. */
static bool is_exact(struct slice value) {
	const uint8_t *p = (const uint8_t *)value.data + HLL_HEADER, *end = (const uint8_t *)value.data + value.len;
	uint64_t covered = 0;
	for (struct opcode o; opcode_read(p, end, &o); p += o.bytes)
		covered += o.registers;
	return covered == HLL_REGISTERS;
}

int hll_count(struct slice value, uint64_t *count) {
	uint8_t registers[HLL_REGISTERS] = {0};
	int error = hll_is_dense(value) || is_exact(value) ? hll_merge(registers, value) : ATOMDB_E_FORMAT;
	if (error == 0)
		*count = hll_count_registers(registers);
	return error;
}
