/* Redis's digests of keys and values, so that two servers can be compared: DEBUG DIGEST. */
#pragma once

#include "atomdb/util/sha1.h"
#include "atomdb/util/slice.h"

/* All bytes are 0 at first. */
struct digest {
	uint8_t bytes[SHA1_BYTES];
};

/* Adds data: the exclusive or with its SHA-1. The order of what is added does not count. */
void digest_add(struct digest *d, struct slice data);
/* Mixes data in: adds it, then takes the SHA-1 of the digest. The order counts. */
void digest_mix(struct digest *d, struct slice data);
/* Mixes a number in as four bytes, the highest first. */
void digest_mix_number(struct digest *d, unsigned number);
/* Returns the bytes of the digest. */
struct slice digest_bytes(const struct digest *d);
