/* Recovery from a crash at any point. Random operations on two tenants are interrupted at a random store_crash_point(),
 * then the arena is adopted. Completed operations must be there, later ones must not, and the interrupted one must be
 * there completely or not at all. The interrupted process leaves by longjmp(3) and never uses its heap again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/suspend.h"
#include "atomdb/store/tenant.h"
#include "atomdb/store/undo.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "atomdb/util/number.h"
#include "harness.h"
#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/as_string.h"
#include "store/keyspace/check.h"
#include "store/keyspace/drop.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/record.h"
#include "store/random.h"
#include "store/shard/compact.h"

#define TENANTS   2
#define DATABASES 3
#define KEYS      8
#define VALUE     24000
#define QUOTA     10 /* entries of the second tenant */

struct state {
	bool there;
	size_t len;
	int64_t deadline;
	char value[VALUE];
};

struct world {
	struct state keys[TENANTS][DATABASES][KEYS];
};

static struct world before, after; /* the operation under way */
static struct shard *shard;
static struct tenant tenants[TENANTS];
static int64_t now;
static uint64_t random_state;
static unsigned long crash_in; /* crash points until the crash; 0: no crash */
static bool crash_exits;
static jmp_buf crashed;
static volatile bool writing; /* the second tenant, while the command of the first is suspended */

void store_crash_point(void) {
	if (crash_in == 0 || --crash_in != 0)
		return;
	if (crash_exits)
		_exit(0);
	longjmp(crashed, 1);
}

static uint64_t draw(uint64_t below) {
	return random_next(&random_state) % below;
}

static struct key key_of(unsigned tenant, unsigned database, unsigned number) {
	static char name[512];
	/* Some keys are too long for a narrow entry. */
	int len = snprintf(name, sizeof name, "key:%u:%0*u", number, number % 5 == 4 ? 300 : 1, number);
	return keyspace_key(&tenants[tenant], keyspace_db_slot(&tenants[tenant], database),
			    (struct slice){name, (size_t)len});
}

/* Sets one of the names of a tenant. */
static void know_as(unsigned tenant, unsigned name) {
	static const struct tenant_identity identities[TENANTS][2] = {{{{0, 1}, ""}, {{0, 1}, "shop"}},
								      {{{1, 1}, ""}, {{1, 2}, "blog"}}};
	atomic_store(&tenants[tenant].identity, &identities[tenant][name]);
}

/* ---- operations: on the model, and on the keyspace ---- */

static size_t random_value(char *value) {
	size_t len = draw(6) == 0 ? draw(VALUE) : draw(60);
	memset(value, (int)('a' + draw(26)), len);
	return draw(3) == 0 ? (size_t)sprintf(value, "%llu", (unsigned long long)(draw(UINT64_MAX) >> 1)) : len;
}

static void set(unsigned t, unsigned d, unsigned n) {
	struct state *k = &after.keys[t][d][n];
	struct key key = key_of(t, d, n);
	k->len = random_value(k->value);
	k->there = true;
	k->deadline = draw(3) == 0 ? now + 1 + (int64_t)draw(100000) : 0;
	struct entry *old = keyspace_find(&tenants[t], &key, LOOKUP_WRITE);
	struct slice value = {k->value, k->len};
	if (draw(3) == 0)
		assert_int_equal(string_set_text(&tenants[t], &key, old, value, k->deadline), 0);
	else
		assert_int_equal(string_set(&tenants[t], &key, old, value, k->deadline), 0);
}

static void del(unsigned t, unsigned d, unsigned n) {
	struct key key = key_of(t, d, n);
	after.keys[t][d][n].there = false;
	struct entry *old = keyspace_find(&tenants[t], &key, LOOKUP_PEEK);
	if (old != NULL)
		keyspace_delete(&tenants[t], &key, old);
}

static void write_part(unsigned t, unsigned d, unsigned n) {
	struct state *k = &after.keys[t][d][n];
	struct key key = key_of(t, d, n);
	char *bytes;
	size_t len = k->there ? k->len : 0, at = draw(len + 20), part = 1 + draw(draw(3) == 0 ? 2000 : 12);
	if (at + part > VALUE)
		return;
	struct entry *old = keyspace_find(&tenants[t], &key, LOOKUP_WRITE);
	size_t grown = at + part > len ? at + part : len;
	if (!k->there)
		k->deadline = 0;
	memset(k->value + len, 0, grown - len);
	memset(k->value + at, 'Z', part);
	k->there = true;
	k->len = grown;
	assert_int_equal(string_resize(&tenants[t], &key, as_string(old), grown, (struct span){at, part}, &bytes), 0);
	for (size_t i = 0; i < part; i++) {
		bytes[at + i] = 'Z';
		if (i % 7 == 0)
			crash_point();
	}
	keyspace_commit(shard);
}

static void count_up(unsigned t, unsigned d, unsigned n) {
	struct state *k = &after.keys[t][d][n];
	struct key key = key_of(t, d, n);
	struct entry *old = keyspace_find(&tenants[t], &key, LOOKUP_WRITE);
	int64_t value = 0;
	char text[STRING_TEXT];
	if (old != NULL && !number_parse(string_value(as_string(old), text), &value))
		return;
	int64_t present = value, sum;
	value ^= (int64_t)draw(1000) << 40 | 1;
	if (!k->there)
		k->deadline = 0;
	k->there = true;
	k->len = (size_t)sprintf(k->value, "%lld", (long long)value);
	assert_int_equal(string_add(&tenants[t], &key, as_string(old), value - present, &sum), 0);
}

static void expire(unsigned t, unsigned d, unsigned n) {
	struct state *k = &after.keys[t][d][n];
	struct key key = key_of(t, d, n);
	struct entry *old = keyspace_find(&tenants[t], &key, LOOKUP_PEEK);
	if (old == NULL)
		return;
	k->deadline = draw(3) == 0 ? 0 : now + 1 + (int64_t)draw(50000);
	assert_int_equal(keyspace_expire(&tenants[t], &key, old, k->deadline), 0);
}

static void move_or_copy(unsigned t, unsigned d, unsigned n, bool copy) {
	unsigned to_d = (unsigned)draw(DATABASES), to_n = (n + 5) % KEYS; /* sometimes of another length */
	static char name[512];
	struct key from = key_of(t, d, n);
	memcpy(name, from.name.data, from.name.len);
	from.name.data = name;
	struct key to = key_of(t, to_d, to_n);
	struct entry *old = keyspace_find(&tenants[t], &to, LOOKUP_PEEK);
	struct entry *e = keyspace_find(&tenants[t], &from, LOOKUP_PEEK);
	if (e == NULL)
		return;
	after.keys[t][to_d][to_n] = after.keys[t][d][n];
	after.keys[t][d][n].there = copy;
	if (copy)
		assert_int_equal(keyspace_copy(&tenants[t], e, &to, old), 0);
	else
		assert_int_equal(keyspace_move(&tenants[t], &from, e, &to, old), 0);
}

static void flush(unsigned t, unsigned d) {
	for (unsigned i = 0; i < DATABASES; i++)
		for (unsigned n = 0; n < KEYS; n++)
			if (d == TENANT_DATABASES || i == d)
				after.keys[t][i][n].there = false;
	keyspace_flush(&tenants[t], d);
}

static void swap(unsigned t, unsigned a, unsigned b) {
	static struct state rest[KEYS];
	memcpy(rest, after.keys[t][a], sizeof rest);
	memcpy(after.keys[t][a], after.keys[t][b], sizeof rest);
	memcpy(after.keys[t][b], rest, sizeof rest);
	keyspace_swap(&tenants[t], a, b);
}

static void change(unsigned t) {
	unsigned d = (unsigned)draw(DATABASES), n = (unsigned)draw(KEYS);
	switch (draw(16)) {
	case 0:
	case 1:
		del(t, d, n);
		break;
	case 2:
	case 3:
	case 4:
		write_part(t, d, n);
		break;
	case 5:
	case 6:
		count_up(t, d, n);
		break;
	case 7:
	case 8:
		expire(t, d, n);
		break;
	case 9:
		move_or_copy(t, d, n, true);
		break;
	case 10:
		move_or_copy(t, d, n, false);
		break;
	case 11:
		if (draw(4) == 0)
			flush(t, draw(3) == 0 ? TENANT_DATABASES : d);
		break;
	case 12:
		if (draw(4) == 0)
			swap(t, d, (unsigned)draw(DATABASES));
		break;
	default:
		set(t, d, n);
	}
}

/* Forgets the keys of the second tenant that the quota evicted: the model does not follow the eviction. */
static void forget_evicted(struct world *w) {
	for (unsigned d = 0; d < DATABASES; d++)
		for (unsigned n = 0; n < KEYS; n++) {
			struct key key = key_of(1, d, n);
			if (keyspace_find(&tenants[1], &key, LOOKUP_PEEK) == NULL)
				w->keys[1][d][n].there = false;
		}
}

/* Moves some keys as compaction does. */
static void move_blocks(unsigned t) {
	while (drop_free(shard, 100)) {
	}
	for (uint64_t i = 1 + draw(3); i > 0; i--) {
		struct key key = key_of(t, (unsigned)draw(DATABASES), (unsigned)draw(KEYS));
		const struct entry *e = keyspace_find(&tenants[t], &key, LOOKUP_PEEK);
		if (e != NULL)
			assert_true(compact_move(shard, entry_ref(shard, e)));
	}
}

/* Suspends the command of the first tenant, while the second tenant writes. */
static void interleave(void) {
	shard_suspend(&tenants[0]);
	for (uint64_t i = 1 + draw(4); i > 0; i--) {
		writing = true;
		set(1, (unsigned)draw(DATABASES), (unsigned)draw(KEYS));
		forget_evicted(&after);
		memcpy(before.keys[1], after.keys[1], sizeof before.keys[1]);
		writing = false;
	}
	if (draw(3) == 0)
		(void)shard_work(shard, 1 + (unsigned)draw(20));
	shard_resume(&tenants[0]);
}

/* Runs one operation, which may consist of several. Sets `after` to its result. */
static void operate(unsigned t) {
	if (t != 0) {
		set(t, (unsigned)draw(DATABASES), (unsigned)draw(KEYS));
		return;
	}
	switch (draw(9)) {
	case 8:
		know_as(t, (unsigned)draw(2));
		record_write_identity(&tenants[t]);
		break;
	case 0:
		(void)shard_work(shard, 1 + (unsigned)draw(20));
		break;
	case 1:
	case 2:
		keyspace_begin(shard);
		for (uint64_t i = draw(draw(10) == 0 ? 80 : 6); i > 0; i--) {
			change(t);
			if (draw(5) == 0)
				interleave();
		}
		keyspace_commit(shard);
		break;
	case 3:
		move_blocks(t);
		break;
	default:
		change(t);
	}
}

/* ---- comparison ---- */

static bool is_same(const struct entry *e, const struct state *k) {
	char text[STRING_TEXT];
	if (e == NULL || !k->there)
		return e == NULL && !k->there;
	struct slice value = string_value(as_string(e), text);
	return value.len == k->len && memcmp(value.data, k->value, k->len) == 0 && keyspace_deadline(e) == k->deadline;
}

static unsigned count_differences(const struct world *w, unsigned t) {
	unsigned count = 0;
	for (unsigned d = 0; d < DATABASES; d++)
		for (unsigned n = 0; n < KEYS; n++) {
			struct key key = key_of(t, d, n);
			count += !is_same(keyspace_find(&tenants[t], &key, LOOKUP_PEEK), &w->keys[t][d][n]);
		}
	return count;
}

/* Counts, charges and the LRU agree with the keys that are found. */
static void check_books(unsigned t) {
	uint64_t keys = 0, listed = 0, bytes = arena_block_size(sizeof(struct tenant_record));
	for (unsigned d = 0; d < DATABASES; d++)
		for (unsigned n = 0; n < KEYS; n++) {
			struct key key = key_of(t, d, n);
			keys += keyspace_find(&tenants[t], &key, LOOKUP_PEEK) != NULL;
		}
	for (unsigned db_slot = 0; db_slot < TENANT_DATABASES; db_slot++) {
		const struct database *d = tenant_database(&tenants[t], db_slot);
		bytes += d != NULL ? d->bytes : 0;
	}
	for (ref r = tenants[t].record->lru.newest; r != 0; r = entry_at(shard, r)->lru_next)
		listed += tenant_database(&tenants[t], entry_database(entry_at(shard, r))) != NULL;
	assert_int_equal(counter_get(&tenants[t].counters.keys), keys);
	assert_int_equal(listed, keys);
	assert_int_equal(counter_get(&tenants[t].counters.bytes), bytes);
}

static void forget_due(struct world *w) {
	for (unsigned t = 0; t < TENANTS; t++)
		for (unsigned d = 0; d < DATABASES; d++)
			for (unsigned n = 0; n < KEYS; n++) {
				struct state *k = &w->keys[t][d][n];
				k->there = k->there && (k->deadline == 0 || k->deadline > now);
			}
}

/* ---- processes ---- */

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	(void)context;
	unsigned t = identity->digest[0];
	assert_true(t < TENANTS);
	shard_adopt_tenant(shard, slot, &tenants[t]);
}

static void init_tenants(void) {
	for (unsigned t = 0; t < TENANTS; t++) {
		tenant_init(&tenants[t], shard, &(struct tenant_limits){0});
		know_as(t, 0);
	}
}

static void limit_tenants(void) {
	tenant_set_limits(&tenants[0], &(struct tenant_limits){0}, 0);
	tenant_set_limits(&tenants[1], &(struct tenant_limits){.max_entries = QUOTA}, 0);
}

static int take_over(int fd) {
	int error = shard_new(&shard, &(struct shard_options){.fd = fd, .now_ms = now});
	if (error != 0)
		return error;
	shard_set_now(shard, now, 1);
	init_tenants();
	shard_each_tenant(shard, adopt, NULL);
	limit_tenants();
	return 0;
}

/* A process that adopts the arena and crashes meanwhile. */
static void crash_in_recovery(int fd) {
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		crash_exits = true;
		crash_in = 1 + draw(60);
		(void)take_over(fd);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void start(void) {
	assert_int_equal(shard_new(&shard, &(struct shard_options){0}), 0);
	shard_set_now(shard, now, 1);
	init_tenants();
	for (unsigned t = 0; t < TENANTS; t++)
		assert_int_equal(shard_open_tenant(shard, &tenants[t]), 0);
	limit_tenants();
	memset(&before, 0, sizeof before);
}

/* The former process crashed in an operation of tenant `t`, which is there completely or not at all. */
static void check_recovered(unsigned t) {
	assert_int_equal(shard_recovery(shard)->kind, RECOVERY_CRASHED);
	assert_int_equal(shard_recovery(shard)->dropped, 0);
	if (writing) {
		memcpy(after.keys[0], before.keys[0], sizeof after.keys[0]);
		t = 1;
	}
	if (t == 0) {
		if (count_differences(&before, 0) == 0)
			after = before;
		assert_int_equal(count_differences(&after, 0), 0);
		assert_int_equal(count_differences(&before, 1), 0);
	} else {
		assert_int_equal(count_differences(&before, 0), 0);
		assert_true(count_differences(&before, 1) <= 2);
		forget_evicted(&after);
		assert_true(count_differences(&after, 1) <= 1);
		if (count_differences(&after, 1) != 0) {
			after = before;
			forget_evicted(&after);
			assert_int_equal(count_differences(&after, 1), 0);
		}
	}
	check_books(0);
	check_books(1);
}

static void settle(void) {
	now += (int64_t)draw(draw(100) == 0 ? 315360000000 : draw(10) == 0 ? 30000 : 50);
	shard_set_now(shard, now, 1);
	if (draw(4) == 0)
		while (shard_work(shard, 1 + (unsigned)draw(64))) {
		}
	forget_due(&before);
	if (draw(100) != 0)
		return;
	int64_t back = (int64_t)draw(draw(2) == 0 ? 60000 : 315360000000);
	if (back > now - 1000000000000)
		return;
	/* Sets the clock back. Due keys must be removed before, or they would be visible again. */
	while (shard_work(shard, 64)) {
	}
	shard_set_now(shard, now - back, 1);
	now = shard_now(shard);
	(void)shard_work(shard, (unsigned)draw(8));
}

static void check_block(void *context, ref block) {
	(void)context;
	const struct entry *e = entry_at(shard, block);
	assert_true(e->owner == 0 || check_fits(e));
}

/* After changes in place all checks fit, also those that recovery would not read. */
static void check_checks(void) {
	assert_int_equal(shard->root->changing, 0);
	arena_each(shard->arena, ARENA_ENTRY, check_block, NULL);
}

static unsigned run(unsigned operations) {
	static unsigned crashes;
	static volatile unsigned i;
	static volatile int fd;
	static volatile unsigned t;
	crashes = 0;
	start();
	for (i = 0; i < operations; i++) {
		settle();
		after = before;
		writing = false;
		t = draw(4) == 0;
		fd = dup(shard_fd(shard));
		assert_true(fd > 0);
		if (i % 16 == 0)
			check_checks();
		crash_in = draw(3) == 0 ? 1 + draw(draw(5) == 0 ? 200 : 12) : 0;
		if (setjmp(crashed) == 0) {
			operate(t);
			crash_in = 0;
			close(fd);
			if (t != 0)
				forget_evicted(&after);
			if (i % 64 == 0)
				assert_int_equal(count_differences(&after, 0), 0);
		} else {
			crashes++;
			fiber_forbidden = 0;
			shard_free(shard);
			for (uint64_t more = draw(8) == 0 ? 1 + draw(3) : 0; more > 0; more--)
				crash_in_recovery(fd);
			assert_int_equal(take_over(fd), 0);
			check_recovered(t);
		}
		memcpy(&before, &after, sizeof before);
	}
	for (unsigned n = 0; n < TENANTS; n++)
		shard_close_tenant(shard, &tenants[n]);
	while (shard_work(shard, 100)) {
	}
	assert_int_equal(counter_get(&arena_counters(shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(shard);
	return crashes;
}

static void test_a_crash_leaves_each_operation_done_or_undone(void **state) {
	(void)state;
	const char *given = getenv("ATOMDB_TEST_OPERATIONS");
	unsigned operations = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 6000;
	random_state = random_seed();
	now = 1700000000000;
	unsigned crashes = run(operations);
	printf("%u operations, %u crashes\n", operations, crashes);
	assert_true(crashes > operations / 20);
}

#define ORDERED 500

static struct key ordered_key(unsigned number) {
	static char name[32];
	int len = snprintf(name, sizeof name, "ordered:%u", number);
	return keyspace_key(&tenants[0], 0, (struct slice){name, (size_t)len});
}

/* A key has its former block again, and the block that replaced it is in a dropped database. The note of that
 * replacement is obsolete. */
static void test_an_obsolete_note_of_a_replacement_does_nothing(void **state) {
	(void)state;
	now = 1700000000000;
	start();
	int fd = dup(shard_fd(shard));
	for (unsigned n = 1; n < ORDERED; n++) {
		struct key other = ordered_key(n);
		assert_int_equal(string_set(&tenants[0], &other, NULL, SLICE("other"), 0), 0);
	}
	struct key key = ordered_key(0);
	assert_int_equal(string_set(&tenants[0], &key, NULL, SLICE("first"), 0), 0);
	struct entry *first = keyspace_find(&tenants[0], &key, LOOKUP_PEEK);
	assert_int_equal(string_set(&tenants[0], &key, first, SLICE("second"), 0), 0);
	keyspace_flush(&tenants[0], 0);
	assert_int_equal(string_set(&tenants[0], &key, NULL, SLICE("third"), 0), 0);
	assert_ptr_equal(keyspace_find(&tenants[0], &key, LOOKUP_PEEK), first);
	shard_free(shard);
	assert_int_equal(take_over(fd), 0);
	char text[STRING_TEXT];
	const struct entry *e = keyspace_find(&tenants[0], &key, LOOKUP_PEEK);
	assert_non_null(e);
	assert_true(slice_equal(string_value(as_string(e), text), SLICE("third")));
	assert_int_equal(counter_get(&tenants[0].counters.keys), 1);
	for (unsigned n = 0; n < TENANTS; n++)
		shard_close_tenant(shard, &tenants[n]);
	shard_free(shard);
}

/* Intact links give the order of the oldest and of the newest entries. Entries between two broken links come between
 * them. */
static void test_intact_links_keep_the_order_of_use(void **state) {
	(void)state;
	random_state = random_seed();
	now = 1700000000000;
	for (unsigned round = 0; round < 20; round++) {
		unsigned order[ORDERED];
		start();
		for (unsigned i = 0; i < ORDERED; i++) {
			struct key key = ordered_key(i);
			order[i] = i;
			assert_int_equal(string_set(&tenants[0], &key, NULL, SLICE("x"), DEADLINE_NONE), 0);
		}
		for (unsigned i = ORDERED - 1; i > 0; i--) {
			unsigned j = (unsigned)draw(i + 1), kept = order[i];
			order[i] = order[j];
			order[j] = kept;
		}
		for (unsigned i = 0; i < ORDERED; i++) {
			struct key key = ordered_key(order[i]);
			assert_non_null(keyspace_find(&tenants[0], &key, LOOKUP_READ));
		}
		/* Breaks two links, or none. */
		unsigned low = ORDERED, high = ORDERED;
		if (round % 2 != 0) {
			low = 1 + (unsigned)draw(ORDERED - 2);
			high = low + (unsigned)draw(ORDERED - low);
			struct key key = ordered_key(order[low]);
			struct entry *e = keyspace_find(&tenants[0], &key, LOOKUP_PEEK);
			e->lru_next = draw(2) ? (ref)draw(UINT32_MAX) : entry_ref(shard, e);
			key = ordered_key(order[high]);
			e = keyspace_find(&tenants[0], &key, LOOKUP_PEEK);
			e->lru_prev = draw(2) ? (ref)draw(UINT32_MAX) : entry_ref(shard, e);
		}
		int fd = dup(shard_fd(shard));
		shard_free(shard);
		assert_int_equal(take_over(fd), 0);
		for (unsigned i = 0; i < ORDERED; i++) {
			struct key key = ordered_key(order[i]);
			ref oldest = tenants[0].record->lru.oldest;
			if (i < low || i > high)
				assert_ptr_equal(keyspace_find(&tenants[0], &key, LOOKUP_PEEK),
						 entry_at(shard, oldest));
			assert_true(evict_oldest(&tenants[0], 0));
		}
		assert_int_equal(tenants[0].record->lru.newest, 0);
		shard_free(shard);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_crash_leaves_each_operation_done_or_undone),
		cmocka_unit_test(test_intact_links_keep_the_order_of_use),
		cmocka_unit_test(test_an_obsolete_note_of_a_replacement_does_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
