#include "atomdb/util/sha1.h"

#include <string.h>

#include "atomdb/util/fiber.h"

#define BLOCK 64

static uint32_t rotate(uint32_t x, unsigned n) {
	return x << n | x >> (32 - n);
}

static uint32_t load(const uint8_t *p) {
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void take_block(uint32_t state[5], const uint8_t *block) {
	uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	for (unsigned i = 0; i < 80; i++)
		w[i] = i < 16 ? load(block + (size_t)4 * i) : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t mixed, constant;
		if (i < 20) {
			mixed = (b & c) | (~b & d);
			constant = 0x5a827999;
		} else if (i < 40) {
			mixed = b ^ c ^ d;
			constant = 0x6ed9eba1;
		} else if (i < 60) {
			mixed = (b & c) | (b & d) | (c & d);
			constant = 0x8f1bbcdc;
		} else {
			mixed = b ^ c ^ d;
			constant = 0xca62c1d6;
		}
		uint32_t next = rotate(a, 5) + mixed + e + constant + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

/* Bytes between two check points. */
#define CHECK_BYTES 8192

void sha1(struct slice bytes, uint8_t out[SHA1_BYTES]) {
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	const uint8_t *from = (const uint8_t *)bytes.data;
	size_t left = bytes.len;
	size_t work = 0;
	for (; left >= BLOCK; left -= BLOCK, from += BLOCK) {
		take_block(state, from);
		(void)fiber_check_every(&work, BLOCK, CHECK_BYTES);
	}
	/* Padding: a 1 bit, zeros, and the length in bits. */
	uint8_t last[2 * BLOCK] = {0};
	size_t size = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;
	uint64_t bits = (uint64_t)bytes.len * 8;
	if (left != 0)
		memcpy(last, from, left);
	last[left] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		last[size - 1 - i] = (uint8_t)(bits >> (8 * i));
	take_block(state, last);
	if (size > BLOCK)
		take_block(state, last + BLOCK);
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
