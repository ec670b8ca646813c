#include "atomdb/events/changes.h"

#include <errno.h>
#include <stdlib.h>

#include "atomdb/util/fiber.h"

/* Keys that are examined between two check points. */
#define CHECK_CHANGES 4096

/* The memory is shared by all subscribers of the prefix. */
static int charge(struct client_charge *c, uint64_t bytes) {
	return client_charge_grow(c, NULL, bytes, CHARGE_LATER) < 0 ? -ENOMEM : 0;
}

static struct changes *changes_new(struct tenant *t) {
	struct client_charge held = {.tenant = t};
	if (charge(&held, sizeof(struct changes)) < 0)
		return NULL;
	struct changes *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		client_charge_release(&held);
		return NULL;
	}
	c->charge = held;
	return c;
}

void changes_free(struct changes *c) {
	if (c == NULL)
		return;
	struct client_charge held = c->charge;
	buffer_deinit(&c->names);
	free(c->keys);
	free(c);
	client_charge_release(&held);
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

static int append(struct changes *c, struct slice name, const struct session *writer) {
	size_t at = c->names.len;
	/* Each name takes at least one byte, so that no two have the same offset. */
	if (reserve_key(c) < 0 || buffer_reserve(&c->names, name.len + 1, SIZE_MAX) < 0)
		return -ENOMEM;
	(void)buffer_append(&c->names, name.data, name.len, SIZE_MAX);
	(void)buffer_append(&c->names, "", 1, SIZE_MAX);
	c->keys[c->count++] = (struct changed_key){at, name.len, writer};
	return 0;
}

int changes_add(struct changes **changes, struct tenant *t, struct slice name, const struct session *writer) {
	struct changes *c = *changes != NULL ? *changes : (*changes = changes_new(t));
	uint64_t bytes = name.len + 1 + sizeof(struct changed_key);
	if (c == NULL || charge(&c->charge, bytes) < 0)
		return -ENOMEM;
	int error = append(c, name, writer);
	if (error < 0)
		client_charge_shrink(&c->charge, bytes);
	return error;
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
	size_t work = 0;
	for (size_t i = 0; i < c->count; i++) {
		(void)fiber_check_every(&work, 1, CHECK_CHANGES);
		if (c->keys[i].writer == s)
			return true;
	}
	return false;
}
