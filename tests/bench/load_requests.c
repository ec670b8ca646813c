#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define STREAM_BYTES_MAX ((size_t)512 << 20)

/* xorshift64*: fast, and random enough to choose keys. */
static uint64_t random_next(uint64_t *state) {
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static double random_share(uint64_t *state) {
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* The Zipf distribution by the method of Gray et al., "Quickly generating billion-record synthetic databases" (1994):
 * one pass over all ranks for the sum, then constant time per draw. */
static void zipf_init(struct draw *d, uint64_t n, double theta) {
	d->zeta = 0;
	for (uint64_t i = 1; i <= n; i++)
		d->zeta += pow((double)i, -theta);
	d->alpha = 1.0 / (1.0 - theta);
	d->eta = n > 2 ? (1.0 - pow(2.0 / (double)n, 1.0 - theta)) / (1.0 - (1.0 + pow(0.5, theta)) / d->zeta) : 1.0;
}

static uint64_t zipf_next(struct draw *d, uint64_t n, double theta) {
	double u = random_share(&d->random), uz = u * d->zeta;
	uint64_t rank;

	if (uz < 1.0)
		return 0;
	if (uz < 1.0 + pow(0.5, theta))
		return n > 1 ? 1 : 0;
	rank = (uint64_t)((double)n * pow(d->eta * u - d->eta + 1.0, d->alpha));
	return rank < n ? rank : n - 1;
}

/* Spreads the ranks, so that popular keys are not neighbours. The multiplier is coprime to any smaller count. */
static uint64_t scatter(uint64_t rank, uint64_t n) {
	return (uint64_t)(((unsigned __int128)rank * UINT64_C(2654435761)) % n);
}

static size_t digits_write(char *out, uint64_t number, unsigned width) {
	for (unsigned i = width; i > 0; i--) {
		out[i - 1] = (char)('0' + number % 10);
		number /= 10;
	}
	return width;
}

static size_t key_write(const struct options *o, enum verb verb, uint64_t key, char *out) {
	/* Counters have their own names: INCR of a text value would only measure the error. */
	memcpy(out, verb == VERB_INCR ? "num:" : "key:", 4);
	return 4 + digits_write(out + 4, key, o->key_size - 4);
}

static size_t value_write(const struct options *o, uint64_t key, char *out) {
	if (o->integers) {
		digits_write(out, key, o->value_size);
		out[0] = '7';
		return o->value_size;
	}
	/* The bytes of a value vary, and differ between keys. */
	for (unsigned i = 0; i < o->value_size; i++)
		out[i] = (char)('a' + (key + i) % 26);
	return o->value_size;
}

static size_t bulk_write(char *out, const char *bytes, size_t size) {
	size_t at = (size_t)sprintf(out, "$%zu\r\n", size);

	memcpy(out + at, bytes, size);
	memcpy(out + at + size, "\r\n", 2);
	return at + size + 2;
}

static size_t number_write(char *out, uint64_t number) {
	char text[24];
	int size = snprintf(text, sizeof(text), "%" PRIu64, number);

	return bulk_write(out, text, (size_t)size);
}

size_t request_size_max(const struct options *o) {
	return o->key_size + o->value_size + 160;
}

static size_t set_write(const struct options *o, enum verb verb, uint64_t key, char *out) {
	bool timed = verb == VERB_SETEX || o->ttl_ms || o->deadline_ms;
	unsigned arguments = 3u + (timed ? 2u : 0u) + (verb == VERB_SETGET ? 1u : 0u);
	size_t at = (size_t)sprintf(out, "*%u\r\n$3\r\nSET\r\n$%u\r\n", arguments, o->key_size);

	at += key_write(o, verb, key, out + at);
	at += (size_t)sprintf(out + at, "\r\n$%u\r\n", o->value_size);
	at += value_write(o, key, out + at);
	memcpy(out + at, "\r\n", 2);
	at += 2;
	if (o->deadline_ms) {
		at += bulk_write(out + at, "PXAT", 4);
		at += number_write(out + at, o->deadline_ms + (key % o->keys) * o->spread_ms / o->keys);
	} else if (timed) {
		at += bulk_write(out + at, "PX", 2);
		at += number_write(out + at, o->ttl_ms ? o->ttl_ms : 60000);
	}
	if (verb == VERB_SETGET)
		at += bulk_write(out + at, "GET", 3);
	return at;
}

static size_t memcached_write(const struct options *o, enum verb verb, uint64_t key, char *out) {
	uint64_t expiry = o->deadline_ms ? o->deadline_ms / 1000 : o->ttl_ms / 1000;
	const char *name = verb == VERB_GET ? "get " : verb == VERB_DEL ? "delete " : "set ";
	size_t at = strlen(name);

	memcpy(out, name, at);
	at += key_write(o, VERB_SET, key, out + at);
	if (verb != VERB_GET && verb != VERB_DEL) {
		at += (size_t)sprintf(out + at, " 0 %" PRIu64 " %u\r\n", expiry, o->value_size);
		at += value_write(o, key, out + at);
	}
	memcpy(out + at, "\r\n", 2);
	return at + 2;
}

size_t request_write(const struct options *o, enum verb verb, uint64_t key, char *out) {
	static const char *const names[] = {
		[VERB_GET] = "$3\r\nGET", [VERB_INCR] = "$4\r\nINCR", [VERB_DEL] = "$3\r\nDEL"};
	size_t at;

	if (o->memcached)
		return memcached_write(o, verb, key, out);
	if (verb == VERB_PING)
		return (size_t)sprintf(out, "*1\r\n$4\r\nPING\r\n");
	if (verb == VERB_SET || verb == VERB_SETEX || verb == VERB_SETGET)
		return set_write(o, verb, key, out);
	at = (size_t)sprintf(out, "*2\r\n%s\r\n$%u\r\n", names[verb], o->key_size);
	at += key_write(o, verb, key, out + at);
	memcpy(out + at, "\r\n", 2);
	return at + 2;
}

static enum verb verb_draw(struct draw *d, const struct options *o) {
	unsigned at = (unsigned)(random_next(&d->random) >> 33) % d->weight_sum;
	unsigned verb = 0;

	while (at >= o->weights[verb]) {
		at -= o->weights[verb];
		verb++;
	}
	return (enum verb)verb;
}

void draw_init(struct draw *d, const struct options *o) {
	*d = (struct draw){.random = o->seed * 2 + 1};
	for (unsigned i = 0; i < VERB_COUNT; i++)
		d->weight_sum += o->weights[i];
	if (o->theta > 0)
		zipf_init(d, o->keys, o->theta);
	/* The first random numbers of a small seed are small: skip them. */
	for (unsigned i = 0; i < 16; i++)
		random_next(&d->random);
}

size_t draw_request(struct draw *d, const struct options *o, char *out) {
	uint64_t key =
		o->theta > 0 ? scatter(zipf_next(d, o->keys, o->theta), o->keys) : random_next(&d->random) % o->keys;

	return request_write(o, verb_draw(d, o), key, out);
}

int stream_init(struct stream *s, const struct options *o, struct draw *d) {
	uint64_t count = o->stream;
	size_t at = 0;

	if (count > STREAM_BYTES_MAX / request_size_max(o))
		count = STREAM_BYTES_MAX / request_size_max(o);
	count -= count % o->pipeline;
	if (count < o->pipeline)
		count = o->pipeline;
	s->offset = malloc((count + 1) * sizeof(*s->offset));
	s->bytes = malloc(count * request_size_max(o));
	s->count = count;
	if (!s->offset || !s->bytes) {
		stream_deinit(s);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < count; i++) {
		s->offset[i] = at;
		at += draw_request(d, o, s->bytes + at);
	}
	s->offset[count] = at;
	return 0;
}

void stream_deinit(struct stream *s) {
	free(s->offset);
	free(s->bytes);
	s->offset = NULL;
	s->bytes = NULL;
}
