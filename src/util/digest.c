#include "atomdb/util/digest.h"

void digest_add(struct digest *d, struct slice data) {
	uint8_t sum[SHA1_BYTES];
	sha1(data, sum);
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		d->bytes[i] ^= sum[i];
}

void digest_mix(struct digest *d, struct slice data) {
	digest_add(d, data);
	sha1(digest_bytes(d), d->bytes);
}

void digest_mix_number(struct digest *d, unsigned number) {
	const char text[4] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8), (char)number};
	digest_mix(d, (struct slice){text, sizeof(text)});
}

struct slice digest_bytes(const struct digest *d) {
	return (struct slice){(const char *)d->bytes, SHA1_BYTES};
}
