/* Secrets: AtomDB keeps only their SHA-256 digests, made by libsodium. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "atomdb/util/slice.h"

#define SECRET_DIGEST 32
/* The maximum length of a secret in bytes. An unauthenticated client may not send a longer argument. A longer secret
 * opens no tenant: its digest would take 10 microseconds for each KiB. */
#define SECRET_MAX 16384

struct secret {
	uint8_t digest[SECRET_DIGEST]; /* SHA-256 */
};

/* Sets `*out` to the digest of a secret. */
void secret_digest(struct slice text, struct secret *out);
/* Compares in constant time. */
bool secret_equal(const struct secret *a, const struct secret *b);
