#include "atomdb/util/pack.h"

#include <string.h>

static void append(struct pack *p, const void *bytes, size_t n) {
	if (p->error == 0)
		p->error = buffer_append(p->out, bytes, n, SIZE_MAX);
}

void pack_number(struct pack *p, uint64_t value) {
	append(p, &value, sizeof(value));
}

void pack_piece(struct pack *p, struct slice piece) {
	append(p, piece.data, piece.len);
}

void pack_bytes(struct pack *p, struct slice bytes) {
	pack_number(p, bytes.len);
	pack_piece(p, bytes);
}

void pack_text(struct pack *p, const char *text) {
	pack_bytes(p, text == NULL ? (struct slice){NULL, 0} : slice_of(text));
}

size_t pack_begin(struct pack *p) {
	size_t begin = p->out->len;
	pack_number(p, 0);
	return begin;
}

void pack_end(struct pack *p, size_t begin) {
	if (p->error != 0)
		return;
	uint64_t length = p->out->len - begin - sizeof(length);
	memcpy(p->out->data + begin, &length, sizeof(length));
}

static struct slice take(struct unpack *u, uint64_t n) {
	if (u->failed || n > u->rest.len) {
		u->failed = true;
		return (struct slice){NULL, 0};
	}
	struct slice taken = {u->rest.data, (size_t)n};
	u->rest.data += n;
	u->rest.len -= (size_t)n;
	return taken;
}

uint64_t unpack_number(struct unpack *u) {
	uint64_t value = 0;
	struct slice bytes = take(u, sizeof(value));
	if (!u->failed)
		memcpy(&value, bytes.data, sizeof(value));
	return value;
}

uint64_t unpack_up_to(struct unpack *u, uint64_t most) {
	uint64_t value = unpack_number(u);
	if (value <= most)
		return value;
	u->failed = true;
	return 0;
}

struct slice unpack_bytes(struct unpack *u) {
	return take(u, unpack_number(u));
}
