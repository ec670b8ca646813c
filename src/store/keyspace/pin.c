#include "store/keyspace/pin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/arena/adopt.h"

struct pin {
	struct list link;      /* in shard->pins */
	struct tenant *tenant; /* NULL: the process before kept the block, and nobody has claimed it yet */
	size_t size;           /* of the block */
	ref block;
	uint32_t slot; /* the tenant's */
	unsigned readers;
	bool kept; /* the block is no entry any more */
};

/* Between two processes, a kept block's header: its owner is 0 as of any block that is no entry. */
static uint32_t *saved_slot(struct entry *e) {
	return &e->lru_prev;
}
static ref *saved_next(struct entry *e) {
	return &e->lru_next;
}

static struct pin *find(const struct shard *s, ref block) {
	for (const struct list *node = s->pins.next; node != &s->pins; node = node->next) {
		struct pin *l = list_entry(node, struct pin, link);
		if (l->block == block)
			return l;
	}
	return NULL;
}

static struct pin *add(struct shard *s, struct tenant *t, ref block, size_t size) {
	struct pin *l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	assert(size >= PIN_MIN);
	*l = (struct pin){.tenant = t, .size = size, .block = block};
	list_push_back(&s->pins, &l->link);
	return l;
}

struct pin *pin_take(struct tenant *t, const struct entry *e) {
	struct shard *s = t->shard;
	ref block = entry_ref(s, e);
	struct pin *l = find(s, block);
	if (l == NULL)
		l = add(s, t, block, entry_size(e));
	if (l == NULL)
		return NULL;
	l->slot = t->slot;
	l->readers++;
	return l;
}

/* Ends a pin that nobody reads, and with it a block that has no key. */
static void end(struct shard *s, struct pin *l) {
	list_remove(&l->link);
	if (l->kept)
		arena_free(s->arena, l->block, l->size, ARENA_ENTRY);
	free(l);
}

void pin_release(struct pin *l) {
	if (l == NULL || --l->readers != 0)
		return;
	struct shard *s = l->tenant->shard;
	if (l->kept)
		counter_sub(&l->tenant->counters.bytes, arena_block_size(l->size));
	l->tenant = NULL;
	if (!l->kept || !s->keeps_pinned)
		end(s, l);
}

bool pin_has(const struct shard *s, ref block) {
	return find(s, block) != NULL;
}

uint64_t pin_bytes(const struct tenant *t) {
	const struct list *pins = &t->shard->pins;
	uint64_t bytes = 0;
	for (const struct list *node = pins->next; node != pins; node = node->next) {
		const struct pin *l = list_entry(node, struct pin, link);
		if (l->tenant == t && !l->kept)
			bytes += arena_block_size(l->size);
	}
	return bytes;
}

bool pin_keep(struct shard *s, ref block) {
	struct pin *l = find(s, block);
	if (l == NULL)
		return false;
	assert(!l->kept);
	l->kept = true;
	counter_add(&l->tenant->counters.bytes, arena_block_size(l->size));
	return true;
}

/* --- from one process to the next ------------------------------------------------------------------------------- */

void pins_keep(struct shard *s) {
	s->keeps_pinned = true;
}

void pins_save(struct shard *s) {
	ref next = 0;
	list_for_each (node, &s->pins) {
		const struct pin *l = list_entry(node, struct pin, link);
		if (!l->kept)
			continue;
		struct entry *e = entry_at(s, l->block);
		assert(e->owner == 0);
		*saved_slot(e) = l->slot;
		*saved_next(e) = next;
		next = l->block;
	}
	s->root->pinned = next;
}

/* Whether `block` can be that of a value without a key: whatever the bytes that name it say. */
static bool is_kept(const struct shard *s, ref block, size_t *size) {
	return arena_find_block(s->arena, block, ARENA_ENTRY, size) && *size >= PIN_MIN &&
	       entry_at(s, block)->owner == 0 && !pin_has(s, block);
}

int pins_take_over(struct shard *s) {
	size_t size;
	ref block = s->root->pinned;
	s->root->pinned = 0;
	for (; block != 0 && is_kept(s, block, &size); block = *saved_next(entry_at(s, block))) {
		struct pin *l = add(s, NULL, block, size);
		if (l == NULL)
			return -ENOMEM;
		l->slot = *saved_slot(entry_at(s, block));
		l->kept = true;
	}
	return 0;
}

bool pins_wait(const struct shard *s, uint32_t slot) {
	list_for_each (node, &s->pins) {
		if (list_entry(node, struct pin, link)->slot == slot)
			return true;
	}
	return false;
}

void pins_free(struct shard *s) {
	while (!list_empty(&s->pins)) {
		struct pin *l = list_entry(s->pins.next, struct pin, link);
		list_remove(&l->link);
		free(l);
	}
}

void pins_drop_unclaimed(struct shard *s) {
	list_for_each (node, &s->pins) {
		struct pin *l = list_entry(node, struct pin, link);
		if (l->readers == 0)
			end(s, l);
	}
}

struct pin_place pin_place(const struct pin *l, struct slice bytes) {
	const char *begin = arena_at(l->tenant->shard->arena, l->block);
	return (struct pin_place){l->block, (uint64_t)(bytes.data - begin), bytes.len};
}

/* The pin of an entry of the tenant that is in `block`, with one reader; NULL where there is none. */
static struct pin *take_block(struct tenant *t, ref block) {
	struct shard *s = t->shard;
	size_t size;
	if (!arena_find_block(s->arena, block, ARENA_ENTRY, &size) || size < PIN_MIN)
		return NULL;
	const struct entry *e = entry_at(s, block);
	if (e->owner == 0 || entry_tenant(e) != t->slot || entry_size(e) > size || entry_size(e) < PIN_MIN)
		return NULL;
	return pin_take(t, e);
}

/* A pin that there is already gets one more reader. */
static struct pin *take_again(struct tenant *t, struct pin *l) {
	if (l->slot != t->slot)
		return NULL;
	if (l->tenant == NULL) {
		l->tenant = t;
		counter_add(&t->counters.bytes, arena_block_size(l->size));
	}
	l->readers++;
	return l;
}

struct pin *pin_claim(struct tenant *t, const struct pin_place *place, struct slice *bytes) {
	struct pin *l = find(t->shard, place->block);
	l = l != NULL ? take_again(t, l) : take_block(t, place->block);
	if (l == NULL)
		return NULL;
	if (place->offset < sizeof(struct entry) || place->offset > l->size || place->length == 0 ||
	    place->length > l->size - place->offset) {
		pin_release(l);
		return NULL;
	}
	*bytes = (struct slice){(const char *)arena_at(t->shard->arena, l->block) + place->offset, place->length};
	return l;
}
