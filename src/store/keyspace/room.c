#include "store/keyspace/room.h"

#include "atomdb/util/fiber.h"
#include "store/arena/pages.h"
#include "store/keyspace/account.h"

/* Bytes of free pages that go back to the kernel between two check points. */
#define TRIM_PIECE ((size_t)256 << 10)

static struct memory_budget *budget_of(const struct tenant *t) {
	return arena_budget_of(t->shard->arena);
}

static uint64_t used_bytes(const struct tenant *t) {
	return counter_get(&arena_counters(t->shard->arena)->used);
}

static bool is_satisfied(const struct tenant *t) {
	const struct memory_budget *b = budget_of(t);
	return b == NULL || atomic_load_explicit(&b->limit, memory_order_relaxed) == 0 ||
	       t->room.held >= t->room.wanted;
}

/* Takes at most `bytes` of the wanted bytes, as far as the budget has them. */
static void take(struct tenant *t, uint64_t bytes, bool reserve) {
	struct room *r = &t->room;
	struct arena *a = t->shard->arena;
	if (fiber_current == NULL || is_satisfied(t))
		return;
	bytes = bytes < r->wanted - r->held ? bytes : r->wanted - r->held;
	uint64_t lacks = memory_budget_lacking(budget_of(t), bytes, reserve);
	bool kept = arena_keep_reserve(a, !reserve);
	if (lacks < bytes && arena_take_heap(a, bytes - lacks))
		r->held += bytes - lacks;
	(void)arena_keep_reserve(a, kept);
}

/* Takes as many of the wanted bytes as the budget has now. */
static void take_free(struct tenant *t) {
	take(t, UINT64_MAX, t->room.reserve);
}

void room_begin(struct tenant *t, uint64_t pages, bool reserve) {
	room_end(t);
	t->room = (struct room){.wanted = pages, .used = used_bytes(t), .reserve = reserve};
	take_free(t);
}

/* Suspends the fiber at a check point. Counts the uncounted entry meanwhile: other commands may see it. */
static void suspend(struct tenant *t) {
	struct shard *s = t->shard;
	struct uncounted *u = s->uncounted;
	if (u != NULL) {
		account_count_again(u);
		fiber_allow();
	}
	s->uncounted = NULL;
	(void)fiber_check();
	s->uncounted = u;
	if (u != NULL) {
		fiber_forbid();
		account_uncount(u);
	}
}

/* Gives some free pages back to the budget, and takes them. They are no part of the reserve, because the evictions made
 * them free. Returns whether there are more to take. */
static bool take_some(struct tenant *t) {
	const counter *resident = &arena_counters(t->shard->arena)->resident;
	uint64_t before = counter_get(resident);
	bool more = !is_satisfied(t) && arena_trim(t->shard->arena, TRIM_PIECE, true);
	take(t, before - counter_get(resident), true);
	take_free(t);
	return more && !is_satisfied(t);
}

bool room_take(struct tenant *t) {
	while (take_some(t))
		(void)room_pause(t);
	return is_satisfied(t);
}

void room_trim(struct tenant *t) {
	while (arena_trim(t->shard->arena, TRIM_PIECE, true))
		(void)room_pause(t);
}

bool room_pause(struct tenant *t) {
	struct room *r = &t->room;
	bool more = used_bytes(t) + TRIM_PIECE <= r->used;
	while (more && !fiber_slice_used()) {
		more = take_some(t);
		r->used = used_bytes(t);
	}
	if (!fiber_slice_used())
		return false;
	(void)take_some(t);
	suspend(t);
	r->used = used_bytes(t);
	return true;
}

void room_use(struct tenant *t, uint64_t bytes) {
	struct room *r = &t->room;
	if (r->held == 0)
		return;
	bytes = bytes < r->held ? bytes : r->held;
	arena_give_heap(t->shard->arena, bytes);
	r->held -= bytes;
	r->wanted -= bytes;
	(void)arena_keep_reserve(t->shard->arena, !r->reserve);
}

void room_end(struct tenant *t) {
	room_use(t, t->room.held);
	t->room = (struct room){0};
}
