/* Fibers: functions that run on a stack of their own, and give the thread back at their check points.
 *
 *   fiber_resume() -> run() ... fiber_check(): the slice is used up -> fiber_resume() returns false
 *   fiber_resume() -> run() goes on ... returns -> fiber_resume() returns true
 *
 * A fiber belongs to one thread. A switch takes a few instructions and no system call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomdb/util/clock.h"
#include "atomdb/util/list.h"
#include "atomdb/util/work_meter.h"

/* Bytes of a stack. An overflow hits a guard page and ends the process. */
#define FIBER_STACK ((size_t)512 << 10)

struct fiber {
	struct list link; /* of its owner, or in the pool */
	/* Of the run that fiber_start() began. */
	uint64_t slices;    /* calls of fiber_resume() */
	uint64_t away;      /* clock_ticks() in which it was suspended */
	bool done;          /* run() has returned */
	bool cancelled;     /* set by the owner: fiber_check() returns true from now on */
	uint64_t end;       /* the slice is used up at this clock_ticks() */
	uint64_t suspended; /* clock_ticks() of the last suspension */
	void (*run)(void *);
	void *context;
	/* The stacks: pointers to the saved registers. */
	void *own, *outside;
	char *mapping; /* owned: a guard page, then the stack */
	size_t guard;  /* bytes */
	/* State of the sanitizers and of valgrind. */
	void *fake, *outside_fake;
	const void *outside_bottom;
	size_t outside_size;
	void *tsan, *outside_tsan;
	unsigned valgrind;
};

/* Idle fibers of a thread. */
struct fiber_pool {
	struct list idle; /* owned */
	unsigned count;
};

/* Idle fibers that a pool keeps at most. */
#define FIBER_POOL_KEPT 16

void fiber_pool_init(struct fiber_pool *p);
void fiber_pool_deinit(struct fiber_pool *p);
/* Takes an idle fiber from the pool, or makes one. Returns NULL without memory. */
struct fiber *fiber_take(struct fiber_pool *p);
/* Gives a fiber back. If its function has not returned, its stack is dropped with all that the function owns. */
void fiber_put(struct fiber_pool *p, struct fiber *f);

/* Prepares run(context), which the next fiber_resume() begins. */
void fiber_start(struct fiber *f, void (*run)(void *context), void *context);
/* Lets the fiber run until its first check point after `ticks` of clock_ticks(); 0: until its next check point. Returns
 * whether run() has returned. The caller must not be on a fiber. */
bool fiber_resume(struct fiber *f, uint64_t ticks);
/* For fiber_check(): suspends the running fiber. */
__attribute__((cold, noinline)) void fiber_yield(struct fiber *f);

/* The fiber that runs on this thread; NULL: none. */
extern _Thread_local struct fiber *fiber_current;
/* Depth of the sections that this thread is in and that have no check point. Counted in builds with ATOMDB_TEST_HOOKS.
 */
extern _Thread_local unsigned fiber_forbidden;

/* For fiber_check(): fails an assertion inside of a forbidden section. */
void fiber_assert_allowed(void);

/* Returns whether tests want all commands on fibers, suspended at each check point: ATOMDB_TEST_YIELD is set. Builds
 * with ATOMDB_TEST_HOOKS print the number of suspensions at their end then. */
#ifdef ATOMDB_TEST_HOOKS
bool fiber_test_yields(void);
#else
static inline bool fiber_test_yields(void) {
	return false;
}
#endif

/* Begins a section that has no check point: a change that others must not see half done, or a held mutex. Sections
 * nest. Costs nothing in builds without ATOMDB_TEST_HOOKS. */
static inline void fiber_forbid(void) {
#ifdef ATOMDB_TEST_HOOKS
	fiber_forbidden++;
#endif
}

static inline void fiber_allow(void) {
#ifdef ATOMDB_TEST_HOOKS
	fiber_forbidden--;
#endif
}

/* A check point: suspends the running fiber, if there is one, when its slice is used up. Returns true if the result of
 * the fiber is not wanted any more: a loop that only reads ends then. Does nothing outside of a fiber. */
static inline bool fiber_check(void) {
	struct fiber *f = fiber_current;
#ifdef ATOMDB_TEST_HOOKS
	fiber_assert_allowed();
#endif
	if (__builtin_expect(f == NULL, 1))
		return false;
	work_meter_point();
	if (__builtin_expect(clock_ticks() >= f->end, 0))
		fiber_yield(f);
	return f->cancelled;
}

/* Returns whether fiber_check() would suspend the running fiber, for a loop that must prepare for it. Counts as a
 * check point. Returns false outside of a fiber. */
static inline bool fiber_slice_used(void) {
	const struct fiber *f = fiber_current;
	if (__builtin_expect(f == NULL, 1))
		return false;
	work_meter_point();
	return clock_ticks() >= f->end;
}

/* Copies, or sets, `n` bytes with check points between the pieces. The memory does not overlap. */
void fiber_copy(void *to, const void *from, size_t n);
void fiber_fill(void *to, int byte, size_t n);
/* Moves `n` bytes up by `by`, with check points. */
void fiber_move_up(void *at, size_t n, size_t by);

/* A check point after each `every` units of work: adds `units` to `*work`, and checks when they are enough. */
static inline bool fiber_check_every(size_t *work, size_t units, size_t every) {
	*work += units;
	if (__builtin_expect(*work < every, 1))
		return false;
	*work = 0;
	return fiber_check();
}
