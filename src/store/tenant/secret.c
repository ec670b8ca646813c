#include "atomdb/store/secret.h"

#include <sodium.h>

void secret_digest(struct slice text, struct secret *out) {
	crypto_hash_sha256(out->digest, (const unsigned char *)text.data, text.len);
}

bool secret_equal(const struct secret *a, const struct secret *b) {
	return sodium_memcmp(a->digest, b->digest, SECRET_DIGEST) == 0;
}
