#include "store/loan.h"

#include <assert.h>
#include <stdlib.h>

struct loan {
	struct list link; /* in shard->loans */
	struct tenant *tenant;
	size_t size; /* of the block */
	ref block;
	unsigned readers;
	bool kept; /* the block is no entry any more */
};

static struct loan *find(const struct shard *s, ref block) {
	for (const struct list *node = s->loans.next; node != &s->loans; node = node->next) {
		struct loan *l = list_entry(node, struct loan, link);
		if (l->block == block)
			return l;
	}
	return NULL;
}

struct loan *loan_take(struct tenant *t, const struct entry *e) {
	struct shard *s = t->shard;
	ref block = entry_ref(s, e);
	struct loan *l = find(s, block);
	if (l == NULL) {
		l = calloc(1, sizeof *l);
		if (l == NULL)
			return NULL;
		l->tenant = t;
		l->size = entry_size(e);
		l->block = block;
		assert(l->size >= LOAN_MIN);
		list_push_back(&s->loans, &l->link);
	}
	l->readers++;
	return l;
}

void loan_return(struct loan *l) {
	if (l == NULL || --l->readers != 0)
		return;
	list_remove(&l->link);
	if (l->kept) {
		tenant_discharge(l->tenant, arena_block_size(l->size));
		arena_free(l->tenant->shard->arena, l->block, l->size, ARENA_ENTRY);
	}
	free(l);
}

bool loan_has(const struct shard *s, ref block) {
	return find(s, block) != NULL;
}

bool loan_keep(struct shard *s, ref block) {
	struct loan *l = find(s, block);
	if (l == NULL)
		return false;
	assert(!l->kept);
	l->kept = true;
	tenant_charge_anyway(l->tenant, arena_block_size(l->size));
	return true;
}
