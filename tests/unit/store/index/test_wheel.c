#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "store/index/wheel.h"
#include "store/keyspace/entry.h"
#include "store/random.h"

#define SIZE  (sizeof(struct entry) + sizeof(struct block_ttl))
#define EPOCH ((int64_t)1700000000000)

struct fixture {
	struct arena *a;
	struct wheel *w;
};

static struct fixture open_wheel(void) {
	struct fixture f;

	assert_int_equal(arena_open(&f.a, "test", NULL), 0);
	f.w = arena_at(f.a, arena_root(f.a, sizeof *f.w));
	return f;
}

static struct block_ttl *ttl(const struct fixture *f, ref e) {
	return entry_ttl(arena_at(f->a, e));
}

static ref new_entry(const struct fixture *f, int64_t deadline) {
	ref e = arena_alloc_zero(f->a, SIZE, ARENA_ENTRY);

	assert_int_not_equal(e, 0);
	((struct entry *)arena_at(f->a, e))->owner = entry_owner(1, 0, ENTRY_TTL);
	ttl(f, e)->deadline = deadline;
	return e;
}

static ref next(const struct fixture *f, int64_t now) {
	unsigned steps = 1000000;
	ref e = wheel_next(f->a, f->w, now, &steps);

	assert_true(e != 0 || steps > 0);
	return e;
}

static void test_an_empty_wheel_has_no_deadline(void **state) {
	(void)state;
	struct fixture f = open_wheel();
	unsigned steps = 1;

	assert_false(wheel_due(f.w, EPOCH));
	assert_false(wheel_due(f.w, INT64_MAX));
	assert_true(wheel_deadline(f.w) == INT64_MAX);
	/* The time goes from 1970 to today in one call. */
	assert_int_equal(wheel_next(f.a, f.w, EPOCH, &steps), 0);
	assert_int_equal(steps, 1);
	assert_true(f.w->now == EPOCH);
	arena_close(f.a);
}

static void test_held_entries_come_back_when_released(void **state) {
	(void)state;
	struct fixture f = open_wheel();
	ref e[4];
	unsigned steps = 2;

	for (unsigned i = 0; i < 4; i++)
		wheel_add(f.a, f.w, e[i] = new_entry(&f, EPOCH + (int64_t)i));
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(next(&f, EPOCH + 10), e[i]);
		wheel_hold(f.a, f.w, e[i]);
	}
	assert_false(wheel_due(f.w, EPOCH + 10));
	assert_int_equal(next(&f, EPOCH + 10), 0);
	/* Removes the first entry and one in the middle, and replaces one. */
	wheel_remove(f.a, f.w, e[3]);
	wheel_remove(f.a, f.w, e[1]);
	ref other = new_entry(&f, EPOCH);
	wheel_replace(f.a, f.w, e[0], other);
	wheel_release(f.a, f.w, &steps);
	assert_int_equal(steps, 0);
	assert_int_equal(f.w->held, 0);
	assert_true(wheel_due(f.w, EPOCH + 10));
	ref one = next(&f, EPOCH + 10), two = next(&f, EPOCH + 10);
	assert_true((one == other && two == e[2]) || (one == e[2] && two == other));
	assert_int_equal(next(&f, EPOCH + 10), 0);
	arena_close(f.a);
}

static void test_an_entry_is_due_in_the_millisecond_of_its_deadline(void **state) {
	(void)state;
	struct fixture f = open_wheel();
	int64_t ahead[] = {1, 2, 63, 64, 65, 4095, 4096, 4097, 100000, 86400000, 31536000000};

	for (unsigned i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
		ref e;

		assert_int_equal(next(&f, EPOCH + (int64_t)i), 0);
		int64_t deadline = f.w->now + ahead[i];
		wheel_add(f.a, f.w, e = new_entry(&f, deadline));
		assert_int_equal(next(&f, deadline - 1), 0);
		assert_false(wheel_due(f.w, deadline - 1));
		assert_true(wheel_due(f.w, deadline));
		assert_true(wheel_deadline(f.w) == deadline);
		assert_int_equal(next(&f, deadline), e);
		assert_false(wheel_due(f.w, deadline));
		assert_int_equal(next(&f, deadline), 0);
		assert_int_equal(ttl(&f, e)->wheel_prev, 0);
		memset(f.w, 0, sizeof *f.w);
	}
	arena_close(f.a);
}

static void test_an_entry_with_a_past_deadline_is_due_at_once(void **state) {
	(void)state;
	struct fixture f = open_wheel();
	ref e = new_entry(&f, EPOCH - 5000), same = new_entry(&f, EPOCH);

	assert_int_equal(next(&f, EPOCH), 0);
	wheel_add(f.a, f.w, e);
	wheel_add(f.a, f.w, same);
	assert_true(wheel_due(f.w, EPOCH));
	assert_true(wheel_deadline(f.w) <= EPOCH);
	assert_int_equal(next(&f, EPOCH), same);
	assert_int_equal(next(&f, EPOCH), e);
	arena_close(f.a);
}

/* Sets the clock ahead by `by` and back again. Entries with deadlines in between are due at their own time. */
static void test_deadlines_hold_when_the_clock_is_set_ahead_and_back(void **state) {
	(void)state;
	static const int64_t steps[] = {1, 5, 64, 1000, 4096, 60000, 3600000, 86400000, 315360000000};

	for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct fixture f = open_wheel();
		int64_t ahead = EPOCH + steps[i];
		ref before = new_entry(&f, EPOCH + 1), after = new_entry(&f, ahead + 1);
		ref far = new_entry(&f, ahead + 400000000000), late = new_entry(&f, EPOCH - 5000);

		assert_int_equal(next(&f, EPOCH), 0);
		wheel_add(f.a, f.w, after);
		wheel_add(f.a, f.w, far);
		assert_int_equal(next(&f, ahead), 0);
		wheel_add(f.a, f.w, before);
		wheel_add(f.a, f.w, late);
		wheel_rewind(f.w, EPOCH);
		assert_true(f.w->now <= EPOCH);
		assert_int_equal(next(&f, EPOCH), late);
		assert_int_equal(next(&f, EPOCH), 0);
		assert_true(f.w->now == EPOCH);
		assert_true(wheel_deadline(f.w) == EPOCH + 1);
		assert_int_equal(next(&f, EPOCH + 1), before);
		assert_int_equal(next(&f, ahead), 0);
		assert_int_equal(next(&f, ahead + 1), after);
		assert_int_equal(next(&f, ahead + 399999999999), 0);
		assert_int_equal(next(&f, ahead + 400000000000), far);
		arena_close(f.a);
	}
}

/* Returns the number of calls, of 100 steps each, that move all entries. */
static unsigned calls_to_rewind(const struct fixture *f, int64_t to) {
	unsigned calls = 0;

	wheel_rewind(f->w, to);
	do {
		unsigned steps = 100;
		assert_int_equal(wheel_next(f->a, f->w, to, &steps), 0);
		calls++;
	} while (wheel_due(f->w, to));
	assert_true(f->w->now == to);
	return calls;
}

static void test_a_rewind_moves_a_bounded_number_of_entries_a_call(void **state) {
	(void)state;
	enum { MANY = 100000 };
	struct fixture f = open_wheel();
	/* The time is in the middle of slots of many levels. */
	int64_t begin = EPOCH >> 30 << 30 | 0x1b8a2f37;

	assert_int_equal(next(&f, begin), 0);
	for (unsigned i = 0; i < MANY; i++)
		wheel_add(f.a, f.w, new_entry(&f, begin + 3600000 + i));
	/* A step back of seconds does not move entries that are due in an hour. */
	assert_int_equal(calls_to_rewind(&f, begin - 5), 1);
	assert_int_equal(calls_to_rewind(&f, begin - 2000), 1);
	assert_in_range(calls_to_rewind(&f, begin - 86400000), MANY / 100, MANY / 100 + 10);
	assert_int_equal(calls_to_rewind(&f, begin - 86400001), 1);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_not_equal(next(&f, begin + 3600000 + i), 0);
	arena_close(f.a);
}

/* Entries of all levels are taken in order, each in the millisecond of its deadline. */
static void test_entries_of_all_levels_are_taken_in_order(void **state) {
	(void)state;
	struct fixture f = open_wheel();
	int64_t deadlines[62];
	ref entries[62];

	for (unsigned i = 0; i < 62; i++) {
		deadlines[i] = ((int64_t)1 << i) + (i > 2 ? (int64_t)i : 0);
		wheel_add(f.a, f.w, entries[i] = new_entry(&f, deadlines[i]));
	}
	ref last = new_entry(&f, INT64_MAX);
	wheel_add(f.a, f.w, last);
	for (unsigned i = 0; i < 62; i++) {
		assert_int_equal(next(&f, deadlines[i] - 1), 0);
		assert_true(wheel_deadline(f.w) == deadlines[i]);
		assert_int_equal(next(&f, deadlines[i]), entries[i]);
	}
	assert_int_equal(next(&f, INT64_MAX - 1), 0);
	assert_int_equal(next(&f, INT64_MAX), last);
	assert_true(wheel_deadline(f.w) == INT64_MAX);
	arena_close(f.a);
}

/* Calls at wheel_deadline() only are sufficient, and they are few. */
static void test_calls_at_the_deadline_of_the_wheel_are_enough(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct fixture f = open_wheel();

	assert_int_equal(next(&f, EPOCH), 0);
	for (unsigned round = 0; round < 2000; round++) {
		int64_t deadline =
			f.w->now + (int64_t)(random_next(&seed) >> (2 + random_next(&seed) % 60)) % (INT64_MAX / 4);
		ref e = new_entry(&f, deadline);
		unsigned wakes = 0;

		wheel_add(f.a, f.w, e);
		for (ref got = 0; got == 0;) {
			int64_t at = wheel_deadline(f.w);

			assert_true(at <= deadline && at >= f.w->now);
			got = next(&f, at);
			if (got != 0)
				assert_true(at >= deadline);
			assert_true(++wakes <= WHEEL_LEVELS + 1);
		}
		arena_free(f.a, e, SIZE, ARENA_ENTRY);
		if (f.w->now > INT64_MAX / 2) {
			memset(f.w, 0, sizeof *f.w);
			assert_int_equal(next(&f, EPOCH), 0);
		}
	}
	arena_close(f.a);
}

/* A million entries of one slot move a step at a time. */
static void test_a_full_slot_moves_in_bounded_steps(void **state) {
	(void)state;
	enum { MANY = 100000 };
	struct fixture f = open_wheel();
	unsigned taken = 0, calls = 0;

	assert_int_equal(next(&f, EPOCH), 0);
	int64_t deadline = EPOCH + 1000000;
	for (unsigned i = 0; i < MANY; i++)
		wheel_add(f.a, f.w, new_entry(&f, deadline));
	while (wheel_due(f.w, deadline)) {
		unsigned steps = 100, before = taken;

		while (wheel_next(f.a, f.w, deadline, &steps) != 0)
			taken++;
		assert_true(steps <= 100);
		assert_true(taken == 0 || taken - before <= MANY);
		/* Adds an entry while a slot is half moved. */
		if (++calls % 100 == 0 && taken == 0)
			wheel_add(f.a, f.w, new_entry(&f, deadline - 1));
		assert_true(calls < 100 * MANY);
	}
	assert_true(calls >= MANY / 100);
	assert_true(taken >= MANY);
	assert_true(wheel_deadline(f.w) == INT64_MAX);
	arena_close(f.a);
}

enum { ENTRIES = 300, STEPS = 1000000 };

struct model {
	ref entry;
	int64_t deadline; /* as of the last addition */
	bool in;
};

static int64_t random_deadline(uint64_t *seed, int64_t now) {
	unsigned shift = 2 + (unsigned)(random_next(seed) % 61);
	int64_t ahead = (int64_t)(random_next(seed) >> shift);

	if (random_next(seed) % 4 != 0)
		ahead %= 20000;
	if (random_next(seed) % 16 == 0)
		return now - now / 1000 * (int64_t)(random_next(seed) % 2) + 1;
	return ahead > INT64_MAX - now ? INT64_MAX : now + ahead + 1;
}

/* Returns the deadline as a wheel at `now` sees it: a late one counts as the present tick. */
static void take_all(const struct fixture *f, struct model *m, int64_t now, unsigned steps) {
	int64_t last = 0;

	for (;;) {
		unsigned left = steps;
		ref e = wheel_next(f->a, f->w, now, &left);

		if (e == 0) {
			if (left == 0)
				continue;
			break;
		}
		unsigned i = 0;
		while (m[i].entry != e)
			assert_true(++i < ENTRIES);
		assert_true(m[i].in && m[i].deadline <= now);
		assert_true(m[i].deadline <= f->w->now && f->w->now >= last);
		last = f->w->now;
		m[i].in = false;
	}
	assert_false(wheel_due(f->w, now));
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_true(!m[i].in || m[i].deadline > now);
}

static void check_deadline(const struct fixture *f, const struct model *m) {
	int64_t earliest = INT64_MAX;
	bool any = false;

	for (unsigned i = 0; i < ENTRIES; i++)
		if (m[i].in) {
			any = true;
			if (m[i].deadline < earliest)
				earliest = m[i].deadline;
		}
	int64_t at = wheel_deadline(f->w);

	/* Is never after the first deadline, except for entries that were late when they were added. */
	assert_true(at <= (earliest > f->w->now ? earliest : f->w->now));
	assert_true(any || at == INT64_MAX || f->w->closing != 0);
}

static void random_change(const struct fixture *f, struct model *m, uint64_t *seed) {
	struct model *e = &m[random_next(seed) % ENTRIES], *other = &m[random_next(seed) % ENTRIES];

	switch (random_next(seed) % 5) {
	case 0:
	case 1:
	case 2:
		if (e->in)
			break;
		e->deadline = ttl(f, e->entry)->deadline = random_deadline(seed, f->w->now);
		wheel_add(f->a, f->w, e->entry);
		e->in = true;
		break;
	case 3:
		wheel_remove(f->a, f->w, e->entry);
		e->in = false;
		break;
	default:
		if (!e->in || other->in)
			break;
		other->deadline = ttl(f, other->entry)->deadline = e->deadline;
		wheel_replace(f->a, f->w, e->entry, other->entry);
		other->in = true;
		e->in = false;
	}
	assert_int_equal(ttl(f, e->entry)->wheel_prev != 0, e->in);
}

static void test_the_wheel_takes_what_a_model_takes(void **state) {
	(void)state;
	uint64_t seed = random_seed();
	struct fixture f = open_wheel();
	struct model m[ENTRIES] = {0};
	int64_t now = EPOCH;

	for (unsigned i = 0; i < ENTRIES; i++)
		m[i].entry = new_entry(&f, 1);
	for (unsigned step = 0; step < STEPS; step++) {
		if (random_next(&seed) % 8 != 0) {
			random_change(&f, m, &seed);
		} else if (random_next(&seed) % 2 == 0) {
			/* All functions work on a wheel that an interrupted call left. */
			unsigned steps = (unsigned)(random_next(&seed) % 4);
			ref e = wheel_next(f.a, f.w, now, &steps);

			for (unsigned i = 0; e != 0 && i < ENTRIES; i++)
				if (m[i].entry == e) {
					assert_true(m[i].in && m[i].deadline <= now);
					m[i].in = false;
				}
		} else {
			unsigned shift = random_next(&seed) % 64 == 0 ? 20 + (unsigned)(random_next(&seed) % 41) : 50;

			int64_t by = (int64_t)(random_next(&seed) >> 2 >> shift);
			bool back = random_next(&seed) % 3 == 0;

			now += back ? -(by < now ? by : now) : by;
			wheel_rewind(f.w, now);
			if (now < 0 || now > INT64_MAX / 2) {
				/* Starts again at today's time. */
				for (unsigned i = 0; i < ENTRIES; i++) {
					wheel_remove(f.a, f.w, m[i].entry);
					m[i].in = false;
				}
				memset(f.w, 0, sizeof *f.w);
				now = EPOCH;
			}
			check_deadline(&f, m);
			if (random_next(&seed) % 2 == 0)
				take_all(&f, m, now, 1 + (unsigned)(random_next(&seed) % 50));
		}
	}
	take_all(&f, m, INT64_MAX, 1000);
	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		assert_true(f.w->occupied[level] == 0);
	arena_close(f.a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_wheel_has_no_deadline),
		cmocka_unit_test(test_an_entry_is_due_in_the_millisecond_of_its_deadline),
		cmocka_unit_test(test_held_entries_come_back_when_released),
		cmocka_unit_test(test_an_entry_with_a_past_deadline_is_due_at_once),
		cmocka_unit_test(test_deadlines_hold_when_the_clock_is_set_ahead_and_back),
		cmocka_unit_test(test_a_rewind_moves_a_bounded_number_of_entries_a_call),
		cmocka_unit_test(test_entries_of_all_levels_are_taken_in_order),
		cmocka_unit_test(test_calls_at_the_deadline_of_the_wheel_are_enough),
		cmocka_unit_test(test_a_full_slot_moves_in_bounded_steps),
		cmocka_unit_test(test_the_wheel_takes_what_a_model_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
