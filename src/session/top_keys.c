#include "atomdb/session/top_keys.h"

#include <stdlib.h>
#include <string.h>

void top_keys_clear(struct top_keys *top) {
	while (top->count > 0)
		top_keys_remove(top, top->count - 1);
}

static bool is(const struct top_key *k, const struct key *key) {
	return k->hash == key->hash && k->db_slot == key->db_slot && k->len == key->name.len &&
	       memcmp(k->name, key->name.data, k->len) == 0;
}

/* Returns the element of `key`, or NULL. Then `*least` is the element to replace, or NULL if there is a free one. */
static struct top_key *find(struct top_keys *top, const struct key *key, struct top_key **least) {
	struct top_key *lightest = top->keys;
	for (struct top_key *k = top->keys; k < top->keys + top->count; k++) {
		if (is(k, key))
			return k;
		lightest = k->weight < lightest->weight ? k : lightest;
	}
	*least = top->count < TOP_KEYS ? NULL : lightest;
	return NULL;
}

/* Stores another key in element `k`, or in a new element if `k` is NULL. Returns NULL, with nothing changed, if there
 * is no memory. */
static struct top_key *take_place(struct top_keys *top, struct top_key *k, const struct key *key) {
	/* An empty name has a block too. */
	char *name = key->name.len > TOP_KEY_NAME ? NULL : malloc(key->name.len + 1);
	if (name == NULL)
		return NULL;
	if (k != NULL) {
		top->bytes -= (size_t)k->len + 1;
		free(k->name);
	} else {
		k = &top->keys[top->count++];
	}
	memcpy(name, key->name.data, key->name.len);
	top->bytes += key->name.len + 1;
	k->name = name;
	k->len = (uint16_t)key->name.len;
	k->hash = key->hash;
	k->db_slot = (uint8_t)key->db_slot;
	return k;
}

void top_keys_count(struct top_keys *top, const struct key *key, uint64_t times) {
	struct top_key *least, *k = find(top, key, &least);
	if (k != NULL) {
		k->weight += times;
		return;
	}
	uint64_t before = least == NULL ? 0 : least->weight;
	k = take_place(top, least, key);
	if (k != NULL) {
		k->error = before;
		k->weight = before + times;
	}
}

void top_keys_fade(struct top_keys *top) {
	for (struct top_key *k = top->keys; k < top->keys + top->count; k++) {
		k->weight /= 2;
		k->error /= 2;
	}
}

void top_keys_set(struct top_keys *top, const struct key *key, uint64_t weight) {
	struct top_key *least, *k = find(top, key, &least);
	if (k == NULL && (least == NULL || least->weight < weight))
		k = take_place(top, least, key);
	if (k != NULL) {
		k->weight = weight;
		k->error = 0;
	}
}

uint64_t top_keys_weight(const struct top_keys *top, const struct key *key) {
	for (const struct top_key *k = top->keys; k < top->keys + top->count; k++)
		if (is(k, key))
			return top_key_sure(k);
	return 0;
}

uint64_t top_keys_least(const struct top_keys *top) {
	uint64_t least = UINT64_MAX;
	for (const struct top_key *k = top->keys; k < top->keys + top->count; k++)
		least = k->weight < least ? k->weight : least;
	return top->count < TOP_KEYS ? 0 : least;
}

void top_keys_remove(struct top_keys *top, unsigned i) {
	struct top_key *k = &top->keys[i];
	top->bytes -= (size_t)k->len + 1;
	free(k->name);
	*k = top->keys[--top->count];
}

unsigned top_keys_order(const struct top_keys *top, unsigned db_slot, uint8_t order[TOP_KEYS]) {
	unsigned n = 0;
	for (unsigned i = 0; i < top->count; i++) {
		if (top->keys[i].db_slot != db_slot)
			continue;
		unsigned at = n++;
		for (; at > 0 && top_key_sure(&top->keys[order[at - 1]]) < top_key_sure(&top->keys[i]); at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)i;
	}
	return n;
}
