#include "atomdb/events/changes.h"

#include <errno.h>
#include <stdlib.h>

#include "atomdb/session/client_memory.h"

void changes_free(struct changes *c) {
	if (c == NULL)
		return;
	client_memory_discharge(c->tenant, c->charged);
	buffer_deinit(&c->names);
	free(c->keys);
	free(c);
}

static int charge(struct changes *c, uint64_t bytes) {
	if (client_memory_charge(c->tenant, NULL, bytes, CHARGE_LATER) < 0)
		return -ENOMEM;
	c->charged += bytes;
	return 0;
}

static struct changes *changes_new(struct tenant *t) {
	struct changes *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->tenant = t;
	if (charge(c, sizeof(*c)) == 0)
		return c;
	free(c);
	return NULL;
}

static int reserve_key(struct changes *c) {
	if (c->count < c->cap)
		return 0;
	size_t cap = c->cap == 0 ? 8 : c->cap * 2;
	struct changed_key *keys = realloc(c->keys, cap * sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	c->keys = keys;
	c->cap = cap;
	return 0;
}

int changes_add(struct changes **changes, struct tenant *t, struct slice name, const struct session *writer) {
	struct changes *c = *changes != NULL ? *changes : (*changes = changes_new(t));
	if (c == NULL || charge(c, name.len + 1 + sizeof(struct changed_key)) < 0 || reserve_key(c) < 0)
		return -ENOMEM;
	size_t at = c->names.len;
	/* Each name takes at least one byte, so that each has its own offset. */
	if (buffer_append(&c->names, name.data, name.len, SIZE_MAX) < 0 ||
	    buffer_append(&c->names, "", 1, SIZE_MAX) < 0)
		return -ENOMEM;
	c->keys[c->count++] = (struct changed_key){at, name.len, writer};
	return 0;
}

static int compare_keys(const void *one, const void *other, void *names) {
	const struct changed_key *a = one, *b = other;
	const char *text = names;
	size_t n = a->length < b->length ? a->length : b->length;
	int order = n == 0 ? 0 : memcmp(text + a->name, text + b->name, n);
	if (order == 0 && a->length != b->length)
		order = a->length < b->length ? -1 : 1;
	/* The latest change of a key comes last. */
	return order != 0 ? order : (a->name > b->name) - (a->name < b->name);
}

void changes_sort(struct changes *c) {
	qsort_r(c->keys, c->count, sizeof(*c->keys), compare_keys, c->names.data);
	size_t n = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (i + 1 == c->count || !slice_equal(changes_name(c, i), changes_name(c, i + 1)))
			c->keys[n++] = c->keys[i];
	}
	c->count = n;
}

bool changes_written_by(const struct changes *c, const struct session *s) {
	for (size_t i = 0; i < c->count; i++) {
		if (c->keys[i].writer == s)
			return true;
	}
	return false;
}
