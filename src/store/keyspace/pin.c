#include "store/keyspace/pin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/arena/adopt.h"

struct pin {
	struct list link;      /* in shard->pins */
	struct tenant *tenant; /* NULL: the process before kept the block, and no client has claimed it yet */
	size_t size;           /* of the block */
	ref block;
	uint32_t slot; /* of the tenant */
	unsigned readers;
	bool kept; /* the pin owns the block, which is no entry any more */
};

/* Between two processes, the header of a kept block has the tenant's slot and the next kept block. Its owner is 0. */
static uint32_t *saved_slot(struct entry *e) {
	return &e->lru_prev;
}
static ref *saved_next(struct entry *e) {
	return &e->lru_next;
}

static struct pin *find(const struct shard *s, ref block) {
	for (const struct list *node = s->pins.next; node != &s->pins; node = node->next) {
		struct pin *p = list_entry(node, struct pin, link);
		if (p->block == block)
			return p;
	}
	return NULL;
}

static struct pin *add(struct shard *s, struct tenant *t, ref block, size_t size) {
	struct pin *p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	assert(size >= PIN_MIN);
	*p = (struct pin){.tenant = t, .size = size, .block = block};
	list_push_back(&s->pins, &p->link);
	return p;
}

struct pin *pin_take(struct tenant *t, const struct entry *e) {
	struct shard *s = t->shard;
	ref block = entry_ref(s, e);
	struct pin *p = find(s, block);
	if (p == NULL)
		p = add(s, t, block, entry_size(e));
	if (p == NULL)
		return NULL;
	p->slot = t->slot;
	p->readers++;
	return p;
}

/* Frees a pin without readers, and its block if that has no key. */
static void end(struct shard *s, struct pin *p) {
	list_remove(&p->link);
	if (p->kept)
		arena_free(s->arena, p->block, p->size, ARENA_ENTRY);
	free(p);
}

void pin_release(struct pin *p) {
	if (p == NULL || --p->readers != 0)
		return;
	struct shard *s = p->tenant->shard;
	if (p->kept)
		counter_sub(&p->tenant->counters.bytes, arena_block_size(p->size));
	p->tenant = NULL;
	if (!p->kept || !s->keeps_pinned)
		end(s, p);
}

bool pin_has(const struct shard *s, ref block) {
	return find(s, block) != NULL;
}

uint64_t pin_bytes(const struct tenant *t) {
	const struct list *pins = &t->shard->pins;
	uint64_t bytes = 0;
	for (const struct list *node = pins->next; node != pins; node = node->next) {
		const struct pin *p = list_entry(node, struct pin, link);
		if (p->tenant == t && !p->kept)
			bytes += arena_block_size(p->size);
	}
	return bytes;
}

bool pin_keep(struct shard *s, ref block) {
	struct pin *p = find(s, block);
	if (p == NULL)
		return false;
	assert(!p->kept);
	p->kept = true;
	counter_add(&p->tenant->counters.bytes, arena_block_size(p->size));
	return true;
}

/* ---- hand-over ---- */

void pins_keep(struct shard *s) {
	s->keeps_pinned = true;
}

void pins_save(struct shard *s) {
	ref next = 0;
	list_for_each (node, &s->pins) {
		const struct pin *p = list_entry(node, struct pin, link);
		if (!p->kept)
			continue;
		struct entry *e = entry_at(s, p->block);
		assert(e->owner == 0);
		*saved_slot(e) = p->slot;
		*saved_next(e) = next;
		next = p->block;
	}
	s->root->pinned = next;
}

/* Returns whether `block`, which may be any number, can be the kept block of a value without a key. */
static bool is_kept(const struct shard *s, ref block, size_t *size) {
	return arena_find_block(s->arena, block, ARENA_ENTRY, size) && *size >= PIN_MIN &&
	       entry_at(s, block)->owner == 0 && !pin_has(s, block);
}

int pins_take_over(struct shard *s) {
	size_t size;
	ref block = s->root->pinned;
	s->root->pinned = 0;
	for (; block != 0 && is_kept(s, block, &size); block = *saved_next(entry_at(s, block))) {
		struct pin *p = add(s, NULL, block, size);
		if (p == NULL)
			return -ENOMEM;
		p->slot = *saved_slot(entry_at(s, block));
		p->kept = true;
	}
	return 0;
}

bool pins_has_tenant(const struct shard *s, uint32_t slot) {
	list_for_each (node, &s->pins) {
		if (list_entry(node, struct pin, link)->slot == slot)
			return true;
	}
	return false;
}

void pins_free(struct shard *s) {
	while (!list_empty(&s->pins)) {
		struct pin *p = list_entry(s->pins.next, struct pin, link);
		list_remove(&p->link);
		free(p);
	}
}

void pins_drop_unclaimed(struct shard *s) {
	list_for_each (node, &s->pins) {
		struct pin *p = list_entry(node, struct pin, link);
		if (p->readers == 0)
			end(s, p);
	}
}

struct pin_place pin_place(const struct pin *p, struct slice bytes) {
	const char *begin = arena_at(p->tenant->shard->arena, p->block);
	return (struct pin_place){p->block, (uint64_t)(bytes.data - begin), bytes.len};
}

/* Pins the entry of the tenant that is in `block`. Returns NULL if there is no such entry. */
static struct pin *pin_block(struct tenant *t, ref block) {
	struct shard *s = t->shard;
	size_t size;
	if (!arena_find_block(s->arena, block, ARENA_ENTRY, &size) || size < PIN_MIN)
		return NULL;
	const struct entry *e = entry_at(s, block);
	if (e->owner == 0 || entry_tenant(e) != t->slot || entry_is_tagged(e) || entry_size(e) > size ||
	    entry_size(e) < PIN_MIN)
		return NULL;
	return pin_take(t, e);
}

/* Adds a reader to an existing pin. Returns NULL if it is another tenant's. */
static struct pin *add_reader(struct tenant *t, struct pin *p) {
	if (p->slot != t->slot)
		return NULL;
	if (p->tenant == NULL) {
		p->tenant = t;
		counter_add(&t->counters.bytes, arena_block_size(p->size));
	}
	p->readers++;
	return p;
}

struct pin *pin_claim(struct tenant *t, const struct pin_place *place, struct slice *bytes) {
	struct pin *p = find(t->shard, place->block);
	p = p != NULL ? add_reader(t, p) : pin_block(t, place->block);
	if (p == NULL)
		return NULL;
	if (place->offset < sizeof(struct entry) || place->offset > p->size || place->length == 0 ||
	    place->length > p->size - place->offset) {
		pin_release(p);
		return NULL;
	}
	*bytes = (struct slice){(const char *)arena_at(t->shard->arena, p->block) + place->offset, place->length};
	return p;
}
