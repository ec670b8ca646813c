#include "store/keyspace/pin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct loan {
	struct list link;      /* in shard->loans */
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

static struct loan *find(const struct shard *s, ref block) {
	for (const struct list *node = s->loans.next; node != &s->loans; node = node->next) {
		struct loan *l = list_entry(node, struct loan, link);
		if (l->block == block)
			return l;
	}
	return NULL;
}

static struct loan *add(struct shard *s, struct tenant *t, ref block, size_t size) {
	struct loan *l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	assert(size >= LOAN_MIN);
	*l = (struct loan){.tenant = t, .size = size, .block = block};
	list_push_back(&s->loans, &l->link);
	return l;
}

struct loan *loan_take(struct tenant *t, const struct entry *e) {
	struct shard *s = t->shard;
	ref block = entry_ref(s, e);
	struct loan *l = find(s, block);
	if (l == NULL)
		l = add(s, t, block, entry_size(e));
	if (l == NULL)
		return NULL;
	l->slot = t->slot;
	l->readers++;
	return l;
}

/* Ends a loan that nobody reads, and with it a block that has no key. */
static void end(struct shard *s, struct loan *l) {
	list_remove(&l->link);
	if (l->kept)
		arena_free(s->arena, l->block, l->size, ARENA_ENTRY);
	free(l);
}

void loan_return(struct loan *l) {
	if (l == NULL || --l->readers != 0)
		return;
	struct shard *s = l->tenant->shard;
	if (l->kept)
		counter_sub(&l->tenant->figures.bytes, arena_block_size(l->size));
	l->tenant = NULL;
	if (!l->kept || !s->keeps_lent)
		end(s, l);
}

bool loan_has(const struct shard *s, ref block) {
	return find(s, block) != NULL;
}

uint64_t loan_bytes(const struct tenant *t) {
	const struct list *loans = &t->shard->loans;
	uint64_t bytes = 0;
	for (const struct list *node = loans->next; node != loans; node = node->next) {
		const struct loan *l = list_entry(node, struct loan, link);
		if (l->tenant == t && !l->kept)
			bytes += arena_block_size(l->size);
	}
	return bytes;
}

bool loan_keep(struct shard *s, ref block) {
	struct loan *l = find(s, block);
	if (l == NULL)
		return false;
	assert(!l->kept);
	l->kept = true;
	counter_add(&l->tenant->figures.bytes, arena_block_size(l->size));
	return true;
}

/* --- from one process to the next ------------------------------------------------------------------------------- */

void shard_keep_lent(struct shard *s) {
	s->keeps_lent = true;
}

void loans_save(struct shard *s) {
	ref next = 0;
	list_for_each (node, &s->loans) {
		const struct loan *l = list_entry(node, struct loan, link);
		if (!l->kept)
			continue;
		struct entry *e = entry_at(s, l->block);
		assert(e->owner == 0);
		*saved_slot(e) = l->slot;
		*saved_next(e) = next;
		next = l->block;
	}
	s->root->lent = next;
}

/* Whether `block` can be that of a value without a key: whatever the bytes that name it say. */
static bool is_kept(const struct shard *s, ref block, size_t *size) {
	return arena_find_block(s->arena, block, ARENA_ENTRY, size) && *size >= LOAN_MIN &&
	       entry_at(s, block)->owner == 0 && !loan_has(s, block);
}

int loans_take_over(struct shard *s) {
	size_t size;
	ref block = s->root->lent;
	s->root->lent = 0;
	for (; block != 0 && is_kept(s, block, &size); block = *saved_next(entry_at(s, block))) {
		struct loan *l = add(s, NULL, block, size);
		if (l == NULL)
			return -ENOMEM;
		l->slot = *saved_slot(entry_at(s, block));
		l->kept = true;
	}
	return 0;
}

bool loans_wait(const struct shard *s, uint32_t slot) {
	list_for_each (node, &s->loans) {
		if (list_entry(node, struct loan, link)->slot == slot)
			return true;
	}
	return false;
}

void loans_free(struct shard *s) {
	while (!list_empty(&s->loans)) {
		struct loan *l = list_entry(s->loans.next, struct loan, link);
		list_remove(&l->link);
		free(l);
	}
}

void shard_drop_lent(struct shard *s) {
	list_for_each (node, &s->loans) {
		struct loan *l = list_entry(node, struct loan, link);
		if (l->readers == 0)
			end(s, l);
	}
}

struct loan_place loan_place(const struct loan *l, struct slice bytes) {
	const char *begin = arena_at(l->tenant->shard->arena, l->block);
	return (struct loan_place){l->block, (uint64_t)(bytes.data - begin), bytes.len};
}

/* The loan of an entry of the tenant that is in `block`, with one reader; NULL where there is none. */
static struct loan *take_block(struct tenant *t, ref block) {
	struct shard *s = t->shard;
	size_t size;
	if (!arena_find_block(s->arena, block, ARENA_ENTRY, &size) || size < LOAN_MIN)
		return NULL;
	const struct entry *e = entry_at(s, block);
	if (e->owner == 0 || entry_tenant(e) != t->slot || entry_size(e) > size || entry_size(e) < LOAN_MIN)
		return NULL;
	return loan_take(t, e);
}

/* A loan that there is already gets one more reader. */
static struct loan *take_again(struct tenant *t, struct loan *l) {
	if (l->slot != t->slot)
		return NULL;
	if (l->tenant == NULL) {
		l->tenant = t;
		counter_add(&t->figures.bytes, arena_block_size(l->size));
	}
	l->readers++;
	return l;
}

struct loan *loan_claim(struct tenant *t, const struct loan_place *place, struct slice *bytes) {
	struct loan *l = find(t->shard, place->block);
	l = l != NULL ? take_again(t, l) : take_block(t, place->block);
	if (l == NULL)
		return NULL;
	if (place->offset < sizeof(struct entry) || place->offset > l->size || place->length == 0 ||
	    place->length > l->size - place->offset) {
		loan_return(l);
		return NULL;
	}
	*bytes = (struct slice){(const char *)arena_at(t->shard->arena, l->block) + place->offset, place->length};
	return l;
}
