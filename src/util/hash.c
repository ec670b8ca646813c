/* SipHash-1-3 ("SipHash: a fast short-input PRF", Aumasson and Bernstein, INDOCRYPT 2012): one compression round for
 * each 8 bytes, three finalization rounds. The last word holds the remaining 0 to 7 bytes, and the length modulo 256 in
 * its top byte. */
#include "atomdb/util/hash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "atomdb/util/fiber.h"

/* Words between two check points. */
#define CHECK_WORDS 8192u

int hash_seed_random(struct hash_seed *seed) {
	struct hash_seed fresh;
	ssize_t n;
	do
		n = getrandom(&fresh, sizeof(fresh), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* getrandom() returns all bytes of a request for at most 256 bytes. */
	if ((size_t)n != sizeof(fresh))
		return -EIO;
	*seed = fresh;
	return 0;
}

static inline uint64_t load8(const unsigned char *p) {
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline uint64_t load4(const unsigned char *p) {
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t rotate(uint64_t v, unsigned by) {
	return v << by | v >> (64 - by);
}

#define ROUND()                           \
	do {                              \
		v0 += v1;                 \
		v2 += v3;                 \
		v1 = rotate(v1, 13);      \
		v3 = rotate(v3, 16);      \
		v1 ^= v0;                 \
		v3 ^= v2;                 \
		v0 = rotate(v0, 32);      \
		v2 += v1;                 \
		v0 += v3;                 \
		v1 = rotate(v1, 17) ^ v2; \
		v3 = rotate(v3, 21) ^ v0; \
		v2 = rotate(v2, 32);      \
	} while (0)

/* Returns the last `len` % 8 bytes as a little-endian number. `end` points to the end of the `len` bytes. */
static inline uint64_t tail_word(const unsigned char *end, size_t len) {
	size_t n = len & 7;
	if (n == 0)
		return 0;
	/* Load the last 8 bytes, and shift out those that belong to the word before. */
	if (len >= 8)
		return load8(end - 8) >> (8 * (8 - n));
	if (n >= 4)
		return load4(end - n) | load4(end - 4) << (8 * (n - 4));
	/* One to three bytes. If there are fewer than three, some of the loads coincide. */
	uint64_t first = *(end - n), middle = *(end - n + n / 2), last = *(end - 1);
	return first | middle << (8 * (n / 2)) | last << (8 * (n - 1));
}

static inline __attribute__((always_inline)) uint64_t hash(const struct hash_seed *seed, const void *bytes, size_t len,
							   bool in_slices) {
	uint64_t v0 = seed->k0 ^ 0x736f6d6570736575;
	uint64_t v1 = seed->k1 ^ 0x646f72616e646f6d;
	uint64_t v2 = seed->k0 ^ 0x6c7967656e657261;
	uint64_t v3 = seed->k1 ^ 0x7465646279746573;
	const unsigned char *p = bytes;

	for (size_t words = len / 8; words > 0; words--, p += 8) {
		uint64_t m = load8(p);
		v3 ^= m;
		ROUND();
		v0 ^= m;
		if (in_slices && words % CHECK_WORDS == 0)
			(void)fiber_check();
	}
	uint64_t m = (uint64_t)len << 56 | tail_word(p + (len & 7), len);
	v3 ^= m;
	ROUND();
	v0 ^= m;
	v2 ^= 0xff;
	ROUND();
	ROUND();
	ROUND();
	return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t hash_bytes(const struct hash_seed *seed, const void *bytes, size_t len) {
	return hash(seed, bytes, len, false);
}

uint64_t hash_bytes_in_slices(const struct hash_seed *seed, const void *bytes, size_t len) {
	return hash(seed, bytes, len, true);
}
