/* Open addressing with two arrays while a resize is under way.
 *
 * A bucket has 12 slots. A table of B buckets grows to 2B when 7/8 of its slots are taken (10.5 B entries). It shrinks
 * to B/4, or from two buckets to one, when less than a tenth is taken (1.2 B). table_reserve() moves at least one
 * bucket for each added entry, so a resize ends within B additions: after growing, at most 11.5 B of the 21 B entries
 * that the new array takes; after shrinking, at most 2.2 B of 2.625 B. Therefore no resize is due while another one is
 * under way.
 *
 * The overflow count of a bucket is never too low. A move of entries out of the old array leaves it unchanged, and a
 * count that reaches 255 stays. A count that is too high only costs time. */
#include "store/index/table.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/index/block.h"

#define SLOTS        12
#define SLOTS_MASK   ((1u << SLOTS) - 1)
#define SATURATED    255
#define BITS_MAX     28
#define RANDOM_TRIES 128
#define COMPARED     ((size_t)64 << 10) /* bytes of a name between two check points */
#define EMPTY_SHARE  8                  /* empty buckets that cost table_drain() as much as one dropped entry */

struct bucket {
	uint8_t tags[SLOTS]; /* 0: empty */
	uint8_t overflow;    /* entries that passed this bucket because it was full */
	uint8_t spare[3];
	ref refs[SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

static inline uint8_t tag_of(uint64_t hash) {
	uint8_t tag = (uint8_t)(hash >> 56);

	return tag != 0 ? tag : 1;
}

static inline uint64_t mask_of(const struct table_array *t) {
	return ((uint64_t)1 << t->bits) - 1;
}

static inline struct bucket *buckets_of(const struct table_context *c, const struct table_array *t) {
	return arena_at(c->arena, t->buckets);
}

static inline size_t bytes_of(unsigned bits) {
	return sizeof(struct bucket) << bits;
}

/* Returns the slots whose tag is `tag`, one bit each. */
static inline unsigned match(const struct bucket *b, uint8_t tag) {
#ifdef __SSE2__
	__m128i tags = _mm_load_si128((const __m128i *)(const void *)b);

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag))) & SLOTS_MASK;
#else
	unsigned bits = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		bits |= (unsigned)(b->tags[i] == tag) << i;
	return bits;
#endif
}

static inline unsigned used_slots(const struct bucket *b) {
	return ~match(b, 0) & SLOTS_MASK;
}

/* Compares with check points. */
static __attribute__((cold, noinline)) bool equal_in_slices(struct slice a, struct slice b) {
	for (size_t at = 0, n; at < a.len; at += n) {
		n = a.len - at < COMPARED ? a.len - at : COMPARED;
		if (memcmp(a.data + at, b.data + at, n) != 0)
			return false;
		(void)fiber_check();
	}
	return true;
}

static inline bool has_key(const struct table_context *c, ref entry, struct slice key) {
	struct slice name = block_key(arena_at(c->arena, entry));

	if (__builtin_expect(name.len == key.len && key.len > COMPARED, 0))
		return equal_in_slices(name, key);
	return slice_equal(name, key);
}

static uint64_t hash_of(const struct table_context *c, ref entry) {
	struct slice key = block_key(arena_at(c->arena, entry));

	return hash_bytes(&c->seed, key.data, key.len);
}

static inline void prefetch_entry(const struct table_context *c, ref entry) {
	const char *e = arena_at(c->arena, entry);

	/* The key may reach into a second cache line. */
	__builtin_prefetch(e);
	__builtin_prefetch(e + 63);
}

static void prefetch_entries(const struct table_context *c, const struct bucket *b) {
	for (unsigned bits = used_slots(b); bits != 0; bits &= bits - 1)
		prefetch_entry(c, b->refs[__builtin_ctz(bits)]);
}

/* ---- one array ---- */

static ref array_find(const struct table_context *c, const struct table_array *t, uint64_t hash, struct slice key) {
	const struct bucket *buckets = buckets_of(c, t);
	uint64_t mask = mask_of(t), at = hash & mask;
	uint8_t tag = tag_of(hash);

	for (uint64_t left = mask + 1; left != 0; left--) {
		const struct bucket *b = &buckets[at];

		for (unsigned bits = match(b, tag); bits != 0; bits &= bits - 1) {
			ref entry = b->refs[__builtin_ctz(bits)];

			if (__builtin_expect(has_key(c, entry, key), 1))
				return entry;
		}
		if (__builtin_expect(b->overflow == 0, 1))
			break;
		at = (at + 1) & mask;
	}
	return 0;
}

/* Returns the slot that holds `entry`, and sets `*bucket` to its bucket. Returns NULL if the array does not hold it. */
static ref *array_slot(const struct table_context *c, const struct table_array *t, uint64_t hash, ref entry,
		       uint64_t *bucket) {
	struct bucket *buckets = buckets_of(c, t);
	uint64_t mask = mask_of(t), at = hash & mask;
	uint8_t tag = tag_of(hash);

	for (uint64_t left = mask + 1; left != 0; left--) {
		struct bucket *b = &buckets[at];

		for (unsigned bits = match(b, tag); bits != 0; bits &= bits - 1)
			if (b->refs[__builtin_ctz(bits)] == entry) {
				*bucket = at;
				return &b->refs[__builtin_ctz(bits)];
			}
		if (b->overflow == 0)
			break;
		at = (at + 1) & mask;
	}
	return NULL;
}

static void array_add(const struct table_context *c, struct table_array *t, uint64_t hash, ref entry) {
	struct bucket *buckets = buckets_of(c, t);
	uint64_t mask = mask_of(t), at = hash & mask;
	unsigned empty;

	assert(t->count < SLOTS * (mask + 1));
	while ((empty = match(&buckets[at], 0)) == 0) {
		if (buckets[at].overflow != SATURATED)
			buckets[at].overflow++;
		at = (at + 1) & mask;
	}
	unsigned slot = (unsigned)__builtin_ctz(empty);

	buckets[at].refs[slot] = entry;
	buckets[at].tags[slot] = tag_of(hash);
	t->count++;
}

static bool array_remove(const struct table_context *c, struct table_array *t, uint64_t hash, ref entry) {
	uint64_t bucket, mask = mask_of(t);
	struct bucket *buckets = buckets_of(c, t);
	const ref *slot = array_slot(c, t, hash, entry, &bucket);

	if (slot == NULL)
		return false;
	buckets[bucket].tags[slot - buckets[bucket].refs] = 0;
	for (uint64_t at = hash & mask; at != bucket; at = (at + 1) & mask)
		if (buckets[at].overflow != SATURATED)
			buckets[at].overflow--;
	t->count--;
	return true;
}

static void array_free(const struct table_context *c, struct table_array *t) {
	struct table_array gone = *t;

	/* The table of a dropped database must not name a block that has another use by then. */
	*t = (struct table_array){0};
	crash_point();
	if (gone.buckets == 0)
		return;
	arena_next_generation(c->arena);
	arena_free(c->arena, gone.buckets, bytes_of(gone.bits), ARENA_OTHER);
}

static size_t array_memory(const struct table_array *t) {
	return t->buckets != 0 ? arena_block_size(bytes_of(t->bits)) : 0;
}

/* ---- sizes ---- */

/* Returns whether one more entry needs a larger array. Returns false for a table without an array. */
static bool is_crowded(const struct table *t) {
	uint64_t slots = (uint64_t)SLOTS << t->now.bits;

	return table_count(t) + 1 > slots - slots / 8;
}

static bool is_sparse(const struct table *t) {
	return t->now.bits > 0 && table_count(t) * 10 < (uint64_t)SLOTS << t->now.bits;
}

static bool resize(const struct table_context *c, struct table *t, unsigned bits) {
	ref buckets = bits <= BITS_MAX ? arena_alloc_zero(c->arena, bytes_of(bits), ARENA_OTHER) : 0;

	if (buckets == 0)
		return false;
	t->old = t->now;
	t->now = (struct table_array){.buckets = buckets, .bits = bits};
	t->next = 0;
	if (t->old.count == 0)
		array_free(c, &t->old);
	return true;
}

size_t table_memory(const struct table *t) {
	return array_memory(&t->now) + array_memory(&t->old);
}

/* 1/32 of the slots stay free, because searches in a full array take long. */
bool table_has_slot(const struct table *t) {
	uint64_t slots = (uint64_t)SLOTS << t->now.bits;

	return t->now.buckets != 0 && t->now.count + 1 <= slots - slots / 32;
}

size_t table_growth(const struct table *t) {
	if (t->now.buckets == 0)
		return arena_block_size(bytes_of(0));
	if (t->old.buckets != 0 || !is_crowded(t) || t->now.bits == BITS_MAX)
		return 0;
	return arena_block_size(bytes_of(t->now.bits + 1));
}

int table_reserve(const struct table_context *c, struct table *t) {
	if (__builtin_expect(t->now.buckets == 0, 0))
		return resize(c, t, 0) ? 0 : ATOMDB_E_OOM;
	if (__builtin_expect(t->old.buckets != 0, 0))
		(void)table_step(c, t, 1);
	if (__builtin_expect(is_crowded(t), 0)) {
		assert(t->old.buckets == 0);
		/* Without memory for a larger array, this one may fill up further. */
		if (!resize(c, t, t->now.bits + 1) && !table_has_slot(t))
			return ATOMDB_E_OOM;
	}
	return 0;
}

/* Returns the size of an array that has room for `count` more entries, at least the present size. */
static unsigned bits_for(const struct table *t, uint64_t count) {
	unsigned bits = t->now.bits;
	uint64_t all = table_count(t) + count;

	while (bits <= BITS_MAX && all > ((uint64_t)SLOTS << bits) - ((uint64_t)SLOTS << bits) / 8)
		bits++;
	return bits;
}

size_t table_growth_many(const struct table *t, uint64_t count) {
	unsigned bits = bits_for(t, count);

	return t->now.buckets != 0 && bits == t->now.bits ? 0 : arena_block_size(bytes_of(bits));
}

int table_reserve_many(const struct table_context *c, struct table *t, uint64_t count) {
	unsigned bits = bits_for(t, count);

	if (t->now.buckets != 0 && bits == t->now.bits)
		return 0;
	/* The additions would complete the resize under way. Complete it now. */
	if (t->old.buckets != 0)
		(void)table_step(c, t, UINT_MAX);
	return resize(c, t, bits) ? 0 : ATOMDB_E_OOM;
}

/* Moves the entries of one bucket of the old array to the new array. */
static void move_bucket(const struct table_context *c, struct table *t, struct bucket *b) {
	for (unsigned bits = used_slots(b); bits != 0; bits &= bits - 1) {
		ref entry = b->refs[__builtin_ctz(bits)];

		array_add(c, &t->now, hash_of(c, entry), entry);
		t->old.count--;
	}
	memset(b->tags, 0, sizeof b->tags);
}

bool table_step(const struct table_context *c, struct table *t, unsigned buckets) {
	if (__builtin_expect(t->old.buckets == 0, 1)) {
		if (__builtin_expect(!is_sparse(t), 1))
			return false;
		if (!resize(c, t, table_count(t) != 0 && t->now.bits > 2 ? t->now.bits - 2 : 0))
			return false;
	}
	struct bucket *old = t->old.buckets != 0 ? buckets_of(c, &t->old) : NULL;
	uint64_t end = mask_of(&t->old) + 1;

	for (; buckets != 0 && t->old.count != 0; buckets--, t->next++) {
		if (t->next + 1 < end)
			prefetch_entries(c, &old[t->next + 1]);
		if (t->next + 2 < end)
			__builtin_prefetch(&old[t->next + 2]);
		move_bucket(c, t, &old[t->next]);
	}
	if (t->old.count != 0)
		return true;
	array_free(c, &t->old);
	t->next = 0;
	return false;
}

/* ---- the table ---- */

/* Keeps the compiler from dropping calls of a function that only prefetches, which has no effect to it. */
static inline void prefetching(void) {
	__asm__ volatile("");
}

const void *table_fetch_bucket(const struct table_context *c, const struct table *t, uint64_t hash) {
	const struct bucket *b = NULL;

	prefetching();
	if (t->now.buckets != 0) {
		b = &buckets_of(c, &t->now)[hash & mask_of(&t->now)];
		__builtin_prefetch(b);
	}
	if (__builtin_expect(t->old.buckets != 0, 0))
		__builtin_prefetch(&buckets_of(c, &t->old)[hash & mask_of(&t->old)]);
	return b;
}

const struct block *table_fetch_entry(const struct table_context *c, const void *bucket, uint64_t hash) {
	const struct bucket *b = bucket;
	unsigned found = match(b, tag_of(hash));

	if (found == 0)
		return NULL;
	ref entry = b->refs[__builtin_ctz(found)];

	prefetch_entry(c, entry);
	return arena_at(c->arena, entry);
}

/* The entry may have been freed and its block reused, so the values that this function reads are only hints. */
__attribute__((no_sanitize("address"))) void table_fetch_links(const struct table_context *c, const struct block *e) {
	const struct block header = *e;

	prefetching();
	__builtin_prefetch((const char *)e + block_narrow_size(&header) - 1);
	__builtin_prefetch(arena_at(c->arena, header.lru_prev), 1);
	__builtin_prefetch(arena_at(c->arena, header.lru_next), 1);
}

static __attribute__((noinline)) ref find_any(const struct table_context *c, const struct table *t, uint64_t hash,
					      struct slice key) {
	ref entry = t->now.buckets != 0 ? array_find(c, &t->now, hash, key) : 0;

	if (entry == 0 && __builtin_expect(t->old.buckets != 0, 0))
		entry = array_find(c, &t->old, hash, key);
	return entry;
}

/* The first slot whose tag fits almost always holds the key. Then no call of find_any() is needed. */
ref table_find(const struct table_context *c, const struct table *t, uint64_t hash, struct slice key) {
	if (__builtin_expect(t->now.buckets != 0, 1)) {
		const struct bucket *b = &buckets_of(c, &t->now)[hash & mask_of(&t->now)];
		unsigned found = match(b, tag_of(hash));
		ref entry = b->refs[__builtin_ctz(found | 1u << (SLOTS - 1))];

		if (found != 0 && slice_equal_short(block_key(arena_at(c->arena, entry)), key))
			return entry;
	}
	return find_any(c, t, hash, key);
}

void table_add(const struct table_context *c, struct table *t, uint64_t hash, ref entry) {
	array_add(c, &t->now, hash, entry);
}

bool table_remove(const struct table_context *c, struct table *t, uint64_t hash, ref entry) {
	return (t->now.buckets != 0 && array_remove(c, &t->now, hash, entry)) ||
	       (t->old.buckets != 0 && array_remove(c, &t->old, hash, entry));
}

bool table_replace(const struct table_context *c, struct table *t, uint64_t hash, ref from, ref to) {
	uint64_t bucket;
	ref *slot = t->now.buckets != 0 ? array_slot(c, &t->now, hash, from, &bucket) : NULL;

	if (slot == NULL && t->old.buckets != 0)
		slot = array_slot(c, &t->old, hash, from, &bucket);
	if (slot == NULL)
		return false;
	*slot = to;
	return true;
}

/* ---- walks ---- */

static uint64_t reverse(uint64_t v) {
	v = (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
	v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0fu) | (v & 0x0f0f0f0f0f0f0f0fu) << 4;
	return __builtin_bswap64(v);
}

/* Increments the cursor in the bits of `mask`, from the highest bit down. Returns 0 after the last value. */
static uint64_t cursor_next(uint64_t cursor, uint64_t mask) {
	return reverse(reverse(cursor | ~mask) + 1);
}

/* Visits the entries of one array whose home bucket is `home`, in whichever bucket they lie. */
static void visit_home(const struct table_context *c, const struct table_array *t, uint64_t home,
		       void (*visit)(void *context, ref entry), void *context) {
	const struct bucket *buckets = buckets_of(c, t);
	uint64_t mask = mask_of(t), at = home;
	/* If no entry has passed the preceding bucket, all entries of this bucket are at home. */
	bool pure = buckets[(home - 1) & mask].overflow == 0;

	for (uint64_t left = mask + 1; left != 0; left--) {
		const struct bucket *b = &buckets[at];

		for (unsigned bits = used_slots(b); bits != 0; bits &= bits - 1) {
			ref entry = b->refs[__builtin_ctz(bits)];

			if (pure || (hash_of(c, entry) & mask) == home)
				visit(context, entry);
		}
		if (b->overflow == 0)
			break;
		at = (at + 1) & mask;
		pure = false;
	}
}

/* The bits of the cursor below the size of an array are the number of a home bucket. The cursor counts from the highest
 * of these bits down. When a table grows, a bucket splits into buckets that differ only in higher bits, and these
 * follow one another in this order. Therefore a bucket that was visited at one size counts as visited at any other
 * size. */
uint64_t table_scan(const struct table_context *c, const struct table *t, uint64_t cursor,
		    void (*visit)(void *context, ref entry), void *context) {
	if (t->now.buckets == 0)
		return 0;
	if (t->old.buckets == 0) {
		visit_home(c, &t->now, cursor & mask_of(&t->now), visit, context);
		return cursor_next(cursor, mask_of(&t->now));
	}
	bool growing = t->old.bits < t->now.bits;
	const struct table_array *small = growing ? &t->old : &t->now, *large = growing ? &t->now : &t->old;
	uint64_t fine = mask_of(large) & ~mask_of(small);

	visit_home(c, small, cursor & mask_of(small), visit, context);
	do {
		visit_home(c, large, cursor & mask_of(large), visit, context);
		cursor = cursor_next(cursor, mask_of(large));
	} while ((cursor & fine) != 0);
	return cursor;
}

/* Returns the bucket with that number, counted through the old array and then the new one. */
static struct bucket *bucket_number(const struct table_context *c, const struct table *t, uint64_t number) {
	uint64_t first = t->old.buckets != 0 ? mask_of(&t->old) + 1 : 0;

	return number < first ? &buckets_of(c, &t->old)[number] : &buckets_of(c, &t->now)[number - first];
}

static uint64_t bucket_total(const struct table *t) {
	return (t->old.buckets != 0 ? mask_of(&t->old) + 1 : 0) + (t->now.buckets != 0 ? mask_of(&t->now) + 1 : 0);
}

ref table_random(const struct table_context *c, const struct table *t, uint64_t random) {
	uint64_t total = bucket_total(t), number = 0;

	if (table_count(t) == 0)
		return 0;
	for (unsigned tries = 0; tries < RANDOM_TRIES; tries++) {
		/* A random slot gives each entry the same chance. A random bucket would prefer entries of sparse
		 * buckets. */
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint64_t slot = (uint64_t)((unsigned __int128)(random ^ random >> 32) * (total * SLOTS) >> 64);

		number = slot / SLOTS;
		const struct bucket *b = bucket_number(c, t, number);

		if (b->tags[slot % SLOTS] != 0)
			return b->refs[slot % SLOTS];
	}
	for (;; number = (number + 1) % total) {
		const struct bucket *b = bucket_number(c, t, number);
		unsigned used = used_slots(b);

		if (used != 0)
			return b->refs[__builtin_ctz(used)];
	}
}

int table_prepare(const struct table_context *c, struct table *t, uint64_t count) {
	unsigned bits = 0;

	while (count + 1 > ((uint64_t)SLOTS << bits) - ((uint64_t)SLOTS << bits) / 8)
		if (++bits > BITS_MAX)
			return ATOMDB_E_OOM;
	*t = (struct table){0};
	return resize(c, t, bits) ? 0 : ATOMDB_E_OOM;
}

static void each_of_array(const struct table_context *c, const struct table_array *t,
			  void (*visit)(void *context, ref entry), void *context) {
	size_t size;

	if (t->buckets == 0 || t->count == 0 || t->bits > BITS_MAX ||
	    !arena_find_block(c->arena, t->buckets, ARENA_OTHER, &size) || size < bytes_of(t->bits))
		return;
	for (uint64_t i = 0; i <= mask_of(t); i++) {
		const struct bucket *b = &buckets_of(c, t)[i];

		for (unsigned bits = used_slots(b); bits != 0; bits &= bits - 1)
			visit(context, b->refs[__builtin_ctz(bits)]);
	}
}

void table_each(const struct table_context *c, const struct table *t, void (*visit)(void *context, ref entry),
		void *context) {
	each_of_array(c, &t->now, visit, context);
	each_of_array(c, &t->old, visit, context);
}

bool table_drain(const struct table_context *c, struct table *t, uint64_t *cursor, unsigned max,
		 void (*drop)(void *context, ref entry), void *context) {
	uint64_t total = bucket_total(t);
	uint64_t end = *cursor + EMPTY_SHARE * (uint64_t)max;
	unsigned dropped = 0;

	for (; *cursor < total && *cursor < end && table_count(t) != 0; ++*cursor) {
		struct bucket *b = bucket_number(c, t, *cursor);
		bool old = t->old.buckets != 0 && *cursor <= mask_of(&t->old);

		if (*cursor + 1 < total)
			prefetch_entries(c, bucket_number(c, t, *cursor + 1));
		if (*cursor + 2 < total)
			__builtin_prefetch(bucket_number(c, t, *cursor + 2));
		for (unsigned bits = used_slots(b); bits != 0; bits &= bits - 1) {
			unsigned slot = (unsigned)__builtin_ctz(bits);

			if (dropped++ == max)
				return true;
			/* Drop the entry before its slot is cleared: recovery frees only entries that the table names.
			 */
			drop(context, b->refs[slot]);
			b->tags[slot] = 0;
			(old ? &t->old : &t->now)->count--;
		}
	}
	if (table_count(t) != 0)
		return true;
	array_free(c, &t->now);
	array_free(c, &t->old);
	t->next = 0;
	return false;
}
