/* Tenant `a` has a command that is suspended, most of the time in an undo scope; tenant `b` goes on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomdb/store/compact.h"
#include "atomdb/store/drop.h"
#include "atomdb/store/relocate.h"
#include "atomdb/store/string.h"
#include "atomdb/store/suspend.h"
#include "atomdb/store/undo.h"
#include "atomdb/store/walk.h"
#include "atomdb/util/error.h"
#include "atomdb/util/fiber.h"
#include "store/arena/adopt.h"
#include "store/arena/crash_point.h"
#include "store/arena/pages.h"
#include "store/keyspace/check.h"
#include "store/keyspace/evict.h"
#include "store/keyspace/quota.h"
#include "store/keyspace/undo.h"
#include "store/shard/compact.h"
#include "store/store.h"

static struct shard *shard;
static struct tenant a, b;
static unsigned long crash_in; /* points until the end; 0: never */
static bool crash_exits;
static jmp_buf crashed;

void store_crash_point(void) {
	if (crash_in == 0 || --crash_in != 0)
		return;
	if (crash_exits)
		_exit(0);
	longjmp(crashed, 1);
}

/* ---- two tenants of a shard ---- */

static const struct tenant_identity identities[2] = {{{0, 1}, ""}, {{1, 1}, ""}};

static void init_tenants(void) {
	tenant_init(&a, shard, &(struct tenant_limits){0});
	tenant_init(&b, shard, &(struct tenant_limits){0});
	atomic_store(&a.identity, &identities[0]);
	atomic_store(&b.identity, &identities[1]);
}

static void start_with(struct memory_budget *budget) {
	shard = store_shard(budget);
	init_tenants();
	assert_int_equal(shard_open_tenant(shard, &a), 0);
	assert_int_equal(shard_open_tenant(shard, &b), 0);
}

static void start(void) {
	start_with(NULL);
}

static void end(void) {
	shard_close_tenant(shard, &a);
	shard_close_tenant(shard, &b);
	store_settle(shard);
	assert_int_equal(counter_get(&arena_counters(shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	shard_free(shard);
}

static void adopt(void *context, uint32_t slot, const struct tenant_identity *identity) {
	(void)context;
	shard_adopt_tenant(shard, slot, identity->digest[0] == 0 ? &a : &b);
}

static int take_over(int fd) {
	int error = shard_new(&shard, &(struct shard_options){.fd = fd, .now_ms = STORE_NOW});
	if (error != 0)
		return error;
	shard_set_now(shard, STORE_NOW, 1);
	init_tenants();
	shard_each_tenant(shard, adopt, NULL);
	return 0;
}

static int keep_memory(void) {
	int fd = dup(shard_fd(shard));
	assert_true(fd > 0);
	return fd;
}

/* The process ends without saving, and the next one takes over. */
static void crash(void) {
	int fd = keep_memory();
	shard_free(shard);
	assert_int_equal(take_over(fd), 0);
	assert_int_equal(shard_recovery(shard)->kind, RECOVERY_CRASHED);
	assert_int_equal(shard_recovery(shard)->dropped, 0);
}

static bool is_marked(void) {
	return (shard->arena->header->version & ARENA_MARK) != 0;
}

static bool has_value(struct tenant *t, unsigned database, const char *name, const char *value) {
	char text[STRING_TEXT];
	struct key key = store_key(t, database, name);
	struct string *found;
	return string_find(t, &key, LOOKUP_PEEK, &found) == 0 && found != NULL &&
	       slice_equal(string_value(found, text), slice_of(value));
}

static struct string *find_string(struct tenant *t, const char *name) {
	struct key key = store_key(t, 0, name);
	struct string *found;
	assert_int_equal(string_find(t, &key, LOOKUP_PEEK, &found), 0);
	return found;
}

static void put(struct tenant *t, const char *name, const char *value) {
	assert_int_equal(store_put(t, 0, name, value, DEADLINE_KEEP), 0);
}

static void del(struct tenant *t, unsigned database, const char *name) {
	struct key key = store_key(t, database, name);
	assert_int_equal(keyspace_delete(t, &key, store_find(t, database, name)), 0);
}

static void add(struct tenant *t, const char *name, int64_t amount) {
	struct key key = store_key(t, 0, name);
	int64_t sum;
	assert_int_equal(string_add(t, &key, find_string(t, name), amount, &sum), 0);
}

static void append(struct tenant *t, const char *name, const char *more) {
	struct key key = store_key(t, 0, name);
	struct entry *e = store_find(t, 0, name);
	size_t before = entry_stored(e).len, len = strlen(more);
	char *bytes;
	assert_int_equal(string_resize(t, &key, find_string(t, name), before + len, (struct span){before, len}, &bytes),
			 0);
	memcpy(bytes + before, more, len);
	keyspace_commit(t->shard);
}

/* ---- the undo log ---- */

static void fill_a(void) {
	put(&a, "replaced", "old");
	put(&a, "removed", "old");
	put(&a, "number", "1234567890123");
	put(&a, "text", "0123456789012345678901234567890123456789");
	store_fill(&a, 1, 500, DEADLINE_NONE);
	assert_int_equal(store_put(&a, 2, "two", "2", DEADLINE_NONE), 0);
}

/* Half of a transaction. */
static void change_a(void) {
	put(&a, "replaced", "new");
	del(&a, 0, "removed");
	add(&a, "number", 1);
	append(&a, "text", "more");
	put(&a, "made", "new");
	assert_int_equal(keyspace_flush(&a, 1), 0);
	assert_int_equal(store_put(&a, 1, "k1", "after", DEADLINE_NONE), 0);
}

/* The other half. */
static void change_a_again(void) {
	put(&a, "replaced", "newest");
	put(&a, "made too", "new");
	del(&a, 0, "made");
	assert_int_equal(keyspace_swap(&a, 2, 3), 0);
}

static bool is_a_before(void) {
	return has_value(&a, 0, "replaced", "old") && has_value(&a, 0, "removed", "old") &&
	       has_value(&a, 0, "number", "1234567890123") &&
	       has_value(&a, 0, "text", "0123456789012345678901234567890123456789") && !store_has(&a, 0, "made") &&
	       !store_has(&a, 0, "made too") && has_value(&a, 1, "k1", "value") && has_value(&a, 2, "two", "2") &&
	       counter_get(&a.counters.db_keys[1]) == 500 && counter_get(&a.counters.db_keys[0]) == 4;
}

static bool is_a_after(void) {
	return has_value(&a, 0, "replaced", "newest") && !store_has(&a, 0, "removed") &&
	       has_value(&a, 0, "number", "1234567890124") &&
	       has_value(&a, 0, "text", "0123456789012345678901234567890123456789more") && !store_has(&a, 0, "made") &&
	       has_value(&a, 0, "made too", "new") && has_value(&a, 1, "k1", "after") && has_value(&a, 3, "two", "2") &&
	       counter_get(&a.counters.db_keys[1]) == 1 && counter_get(&a.counters.db_keys[0]) == 4;
}

/* Acknowledged writes of the neighbour: keys come, change and go, in scopes of their own and without. */
static unsigned acknowledged;

static void write_b(unsigned i) {
	char name[16], gone[16];
	snprintf(name, sizeof name, "b%u", i);
	snprintf(gone, sizeof gone, "gone%u", i);
	if (i % 3 == 0)
		keyspace_begin(shard);
	put(&b, gone, "value");
	put(&b, name, "first");
	put(&b, name, "1234567890123");
	add(&b, name, 1);
	del(&b, 0, gone);
	if (i % 3 == 0)
		keyspace_commit(shard);
	acknowledged = i + 1;
}

static void expect_b(unsigned count) {
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "b%u", i);
		assert_true(has_value(&b, 0, name, "1234567890124"));
	}
}

static void test_a_crash_takes_a_suspended_scope_back_and_no_write_of_a_neighbour(void **state) {
	(void)state;
	for (unsigned resumed = 0; resumed < 2; resumed++) {
		start();
		fill_a();
		store_fill(&b, 1, 300, DEADLINE_NONE);
		keyspace_begin_transaction(shard, 0);
		change_a();
		shard_suspend(&a);
		assert_true(tenant_suspended(&a) && is_marked());
		for (unsigned i = 0; i < 150; i++)
			write_b(i);
		assert_int_equal(keyspace_flush(&b, 1), 0);
		assert_int_equal(keyspace_swap(&b, 4, 5), 0);
		(void)shard_work(shard, 100);
		if (resumed) {
			shard_resume(&a);
			change_a_again();
		}
		crash();
		assert_true(is_a_before());
		expect_b(150);
		assert_int_equal(counter_get(&b.counters.keys), 150);
		assert_false(is_marked());
		end();
	}
}

/* Bytes of the charge that are no entry's, no table's and no record's. */
static uint64_t other_bytes(const struct tenant *t) {
	uint64_t bytes = arena_block_size(sizeof(struct tenant_record)) + t->dying;
	for (unsigned i = 0; i < TENANT_DATABASES; i++)
		bytes += tenant_database(t, i) != NULL ? tenant_database(t, i)->bytes : 0;
	return counter_get(&t->counters.bytes) - bytes;
}

static void test_a_scope_that_was_suspended_commits(void **state) {
	(void)state;
	start();
	fill_a();
	keyspace_begin_transaction(shard, 0);
	change_a();
	for (unsigned i = 0; i < 60; i++) {
		shard_suspend(&a);
		write_b(i);
		shard_resume(&a);
	}
	change_a_again();
	assert_true(is_marked());
	keyspace_commit(shard);
	assert_true(is_a_after());
	assert_false(is_marked());
	store_settle(shard);
	assert_int_equal(other_bytes(&a), 0);
	crash();
	assert_true(is_a_after());
	expect_b(60);
	end();
}

/* One run of what two tenants do, which ends at a crash point. Returns whether it came to its end. */
static bool run_until(unsigned long point) {
	static volatile bool ended, commits;
	static volatile int fd;
	ended = commits = false;
	acknowledged = 0;
	start();
	fill_a();
	store_fill(&b, 1, 20, DEADLINE_NONE);
	fd = keep_memory();
	crash_in = point;
	if (setjmp(crashed) == 0) {
		keyspace_begin_transaction(shard, 0);
		change_a();
		shard_suspend(&a);
		write_b(0);
		(void)keyspace_flush(&b, 1);
		(void)shard_work(shard, 10);
		shard_resume(&a);
		change_a_again();
		shard_suspend(&a);
		write_b(1);
		shard_resume(&a);
		commits = true;
		keyspace_commit(shard);
		ended = true;
		shard_suspend(&a);
		write_b(2);
		shard_resume(&a);
	}
	bool whole = crash_in != 0;
	crash_in = 0;
	fiber_forbidden = 0;
	shard_free(shard);
	assert_int_equal(take_over(fd), 0);
	assert_int_equal(shard_recovery(shard)->dropped, 0);
	assert_true(commits ? is_a_before() || is_a_after() : is_a_before());
	assert_true(!ended || is_a_after());
	expect_b(acknowledged);
	assert_false(is_marked());
	end();
	return whole;
}

static void test_a_crash_at_any_instruction_leaves_all_or_nothing_of_the_scope(void **state) {
	(void)state;
	unsigned long point = 1;
	while (!run_until(point))
		point++;
	assert_in_range(point, 100, 2000);
}

/* A process that takes the arena over, and ends at a crash point. Returns whether it came to its end. */
static bool recover_until(int fd, unsigned long point) {
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		crash_exits = true;
		crash_in = point;
		_exit(take_over(fd) == 0 ? 1 : 2);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

static void test_a_suspended_scope_may_be_taken_back_twice(void **state) {
	(void)state;
	unsigned long point = 1;
	for (bool whole = false; !whole; point++) {
		start();
		fill_a();
		keyspace_begin_transaction(shard, 0);
		change_a();
		shard_suspend(&a);
		for (unsigned i = 0; i < 3; i++)
			write_b(i);
		int fd = keep_memory();
		shard_free(shard);
		whole = recover_until(fd, point);
		assert_int_equal(take_over(fd), 0);
		assert_true(is_a_before());
		expect_b(3);
		end();
	}
	assert_true(point > 5);
}

/* ---- blocks that the scope freed ---- */

static void test_a_block_that_the_scope_freed_is_a_neighbours_entry_after_a_crash(void **state) {
	(void)state;
	start();
	put(&a, "evicted", "12345678901234567890");
	put(&a, "number", "1234567890123");
	keyspace_begin_transaction(shard, 0);
	/* Noted, then evicted: the block is free. */
	append(&a, "evicted", "x");
	add(&a, "number", 1);
	assert_true(evict_oldest(&a, 0));
	assert_true(evict_oldest(&a, 0));
	put(&a, "made", "12345678901234567890");
	ref made = entry_ref(shard, store_find(&a, 0, "made"));
	del(&a, 0, "made");
	shard_suspend(&a);
	bool same = false;
	for (unsigned i = 0; i < 64; i++) {
		char name[16];
		snprintf(name, sizeof name, "b%u", i);
		put(&b, name, "12345678901234567890");
		same = same || entry_ref(shard, store_find(&b, 0, name)) == made;
	}
	assert_true(same);
	crash();
	assert_int_equal(counter_get(&b.counters.keys), 64);
	for (unsigned i = 0; i < 64; i++) {
		char name[16];
		snprintf(name, sizeof name, "b%u", i);
		assert_true(has_value(&b, 0, name, "12345678901234567890"));
	}
	end();
}

/* The end of one scope leaves alone what another one made in a block that the first one freed. */
static void test_the_end_of_a_scope_leaves_fresh_entries_of_another_one_fresh(void **state) {
	(void)state;
	start();
	keyspace_begin_transaction(shard, 0);
	put(&a, "made", "12345678901234567890");
	ref made = entry_ref(shard, store_find(&a, 0, "made"));
	del(&a, 0, "made");
	shard_suspend(&a);
	keyspace_begin_transaction(shard, 0);
	put(&b, "mine", "12345678901234567890");
	assert_int_equal(entry_ref(shard, store_find(&b, 0, "mine")), made);
	shard_suspend(&b);
	shard_resume(&a);
	keyspace_commit(shard);
	assert_true(entry_fresh(store_find(&b, 0, "mine")));
	assert_true(is_marked());
	crash();
	assert_false(store_has(&b, 0, "mine"));
	end();
}

static void test_a_value_may_be_half_written_while_its_command_is_suspended(void **state) {
	(void)state;
	start();
	put(&a, "text", "0123456789012345678901234567890123456789");
	struct key key = store_key(&a, 0, "text");
	char *bytes;
	for (unsigned crashes = 0; crashes < 2; crashes++) {
		assert_int_equal(string_resize(&a, &key, find_string(&a, "text"), 40, (struct span){0, 40}, &bytes), 0);
		memset(bytes, 'x', 20);
		shard_suspend(&a);
		assert_int_equal(shard->root->changing, 0);
		write_b(0);
		shard_resume(&a);
		memset(bytes + 20, 'x', 10);
		if (crashes == 0) {
			memset(bytes + 30, 'x', 10);
			keyspace_commit(shard);
			assert_true(check_fits(store_find(&a, 0, "text")));
			put(&a, "text", "0123456789012345678901234567890123456789");
		} else {
			shard_suspend(&a);
			crash();
			assert_true(has_value(&a, 0, "text", "0123456789012345678901234567890123456789"));
		}
	}
	end();
}

static void test_a_shard_with_a_suspended_scope_is_not_saved(void **state) {
	(void)state;
	start();
	keyspace_begin(shard);
	put(&a, "made", "new");
	shard_suspend(&a);
	assert_int_equal(shard_save(shard), -EBUSY);
	crash();
	assert_false(store_has(&a, 0, "made"));
	/* A command without a scope is given up. */
	shard_suspend(&a);
	shard_resume(&a);
	assert_int_equal(shard_save(shard), 0);
	int fd = keep_memory();
	shard_free(shard);
	assert_int_equal(take_over(fd), 0);
	assert_int_equal(shard_recovery(shard)->kind, RECOVERY_CLEAN);
	end();
}

static void test_an_earlier_release_refuses_an_arena_with_a_suspended_scope(void **state) {
	(void)state;
	start();
	uint32_t version = shard->arena->header->version;
	keyspace_begin(shard);
	put(&a, "made", "new");
	assert_int_equal(shard->arena->header->version, version);
	shard_suspend(&a);
	/* It compares this number before it reads anything else. */
	assert_int_not_equal(shard->arena->header->version, version);
	shard_resume(&a);
	assert_int_not_equal(shard->arena->header->version, version);
	keyspace_commit(shard);
	assert_int_equal(shard->arena->header->version, version);
	end();
}

/* ---- databases that were dropped ---- */

static void test_only_databases_that_the_scope_dropped_wait_for_its_end(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 1000, DEADLINE_NONE);
	store_fill(&a, 1, 1000, DEADLINE_NONE);
	store_fill(&b, 0, 1000, DEADLINE_NONE);
	assert_int_equal(keyspace_flush(&a, 1), 0);
	keyspace_begin_transaction(shard, 0);
	assert_int_equal(keyspace_flush(&a, 0), 0);
	assert_int_equal(store_put(&a, 0, "k1", "new", DEADLINE_NONE), 0);
	assert_int_equal(keyspace_flush(&a, 0), 0);
	shard_suspend(&a);
	assert_int_equal(keyspace_flush(&b, 0), 0);
	store_settle(shard);
	assert_true(shard_deadline(shard) > STORE_NOW);
	assert_int_equal(b.dying, 0);
	assert_true(a.dying > 1000 * 32);
	/* It is no room before the scope ends. */
	a.limits.max_memory = counter_get(&a.counters.bytes);
	assert_true(quota_exceeded(&a, 0, 1 << 20));
	a.limits.max_memory = 0;
	uint64_t entries = counter_get(&arena_counters(shard->arena)->used_by_kind[ARENA_ENTRY]);
	assert_true(entries >= 1000 * 32 && entries < 1100 * 64);
	shard_resume(&a);
	keyspace_commit(shard);
	store_settle(shard);
	assert_int_equal(a.dying, 0);
	assert_int_equal(counter_get(&arena_counters(shard->arena)->used_by_kind[ARENA_ENTRY]), 0);
	end();
}

/* ---- expiry ---- */

static uint64_t parked(const struct tenant *t) {
	uint64_t count = 0;
	ref list = record_parked(shard, t);
	ref next = t->record->parked.wheel_next;
	for (; next != 0 && next != list; next = entry_ttl(entry_at(shard, next))->wheel_next)
		count++;
	return count;
}

static void test_due_entries_of_a_suspended_tenant_are_parked(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 100, STORE_NOW + 10);
	store_fill(&b, 0, 100, STORE_NOW + 10);
	assert_int_equal(store_put(&a, 0, "later", "v", STORE_NOW + 1000), 0);
	shard_suspend(&a);
	shard_set_now(shard, STORE_NOW + 20, 1);
	store_settle(shard);
	assert_int_equal(counter_get(&b.counters.keys), 0);
	assert_int_equal(counter_get(&a.counters.keys), 101);
	assert_int_equal(parked(&a), 100);
	/* Nothing asks for work before the next deadline. */
	assert_in_range(shard_deadline(shard), STORE_NOW + 21, STORE_NOW + 1000);

	/* The command goes on at its own time, and sees them. */
	shard_resume(&a);
	shard->now_ms = STORE_NOW;
	assert_true(store_has(&a, 0, "k1"));
	del(&a, 0, "k1");
	del(&a, 0, "k99");
	struct key key = store_key(&a, 0, "k50");
	assert_int_equal(keyspace_expire(&a, &key, store_find(&a, 0, "k50"), STORE_NOW + 5000), 0);
	assert_int_equal(store_put(&a, 0, "k51", "another", DEADLINE_KEEP), 0);
	assert_int_equal(parked(&a), 97);
	shard->now_ms = STORE_NOW + 20;
	shard_suspend(&a);
	store_settle(shard);
	assert_int_equal(parked(&a), 97);

	/* They go once it is resumed. */
	shard_resume(&a);
	assert_true(shard_deadline(shard) <= STORE_NOW + 20);
	assert_false(store_has(&a, 0, "k51"));
	assert_true(store_settle(shard) < 20);
	assert_int_equal(parked(&a), 0);
	assert_int_equal(counter_get(&a.counters.keys), 2);
	assert_true(shard_deadline(shard) > STORE_NOW + 20);
	end();
}

static void test_a_resumed_command_counts_no_key_that_was_due_at_its_time(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 50, STORE_NOW - 0 + 5);
	assert_int_equal(store_put(&a, 0, "seen", "v", STORE_NOW + 15), 0);
	shard_set_now(shard, STORE_NOW + 10, 1);
	shard_suspend(&a);
	shard_set_now(shard, STORE_NOW + 20, 1);
	store_settle(shard);
	assert_int_equal(parked(&a), 51);
	shard_resume(&a);
	shard->now_ms = STORE_NOW + 10;
	uint64_t keys = 0;
	unsigned tries = 0;
	while (keyspace_size(&a, 0, &keys, NULL) == ATOMDB_E_AGAIN && tries++ < 100)
		(void)shard_work(shard, 10);
	assert_int_equal(keys, 1);
	assert_true(store_has(&a, 0, "seen"));
	shard->now_ms = STORE_NOW + 20;
	store_settle(shard);
	assert_int_equal(counter_get(&a.counters.keys), 0);
	end();
}

/* The clock is set back while the command is suspended: its time is later than that of all others. */
static void test_a_command_whose_time_is_ahead_expires_nothing_of_a_neighbour(void **state) {
	(void)state;
	start();
	shard_set_now(shard, STORE_NOW + 3600000, 1);
	shard_suspend(&a);
	shard_set_now(shard, STORE_NOW, 1);
	assert_int_equal(store_put(&b, 0, "k", "v", STORE_NOW + 1000), 0);
	shard_resume(&a);
	shard->now_ms = STORE_NOW + 3600000;
	(void)shard_work(shard, 1000);
	shard->now_ms = STORE_NOW;
	shard_suspend(&a);
	assert_true(store_has(&b, 0, "k"));
	assert_int_equal(counter_get(&b.counters.expirations), 0);
	shard_set_now(shard, STORE_NOW + 1000, 1);
	store_settle(shard);
	assert_int_equal(counter_get(&b.counters.keys), 0);
	shard_resume(&a);
	end();
}

static void test_parked_entries_survive_a_close_a_save_and_a_new_name(void **state) {
	(void)state;
	static const struct tenant_identity named = {{0, 1}, "shop"};
	for (unsigned how = 0; how < 3; how++) {
		start();
		store_fill(&a, 0, 100, STORE_NOW + 10);
		shard_suspend(&a);
		shard_set_now(shard, STORE_NOW + 20, 1);
		store_settle(shard);
		assert_int_equal(parked(&a), 100);
		shard_resume(&a);
		if (how == 0) {
			assert_int_equal(shard_save(shard), 0);
			int fd = keep_memory();
			shard_free(shard);
			assert_int_equal(take_over(fd), 0);
			shard_set_now(shard, STORE_NOW + 20, 1);
		} else if (how == 1) {
			atomic_store(&a.identity, &named);
			tenant_set_limits(&a, &(struct tenant_limits){0}, 1);
		}
		if (how < 2) {
			assert_int_equal(parked(&a), 0);
			store_settle(shard);
			assert_int_equal(counter_get(&a.counters.keys), 0);
		}
		end();
	}
}

/* ---- work in the background ---- */

static void test_tables_of_a_suspended_tenant_are_not_resized(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 6000, DEADLINE_NONE);
	store_fill(&b, 0, 6000, DEADLINE_NONE);
	store_settle(shard);
	for (unsigned i = 0; tenant_database(&b, 0)->table.old.buckets == 0; i++) {
		char name[16];
		snprintf(name, sizeof name, "more%u", i);
		put(&b, name, "v");
		if (tenant_database(&a, 0)->table.old.buckets == 0)
			put(&a, name, "v");
	}
	for (unsigned i = 0; tenant_database(&a, 0)->table.old.buckets == 0; i++) {
		char name[16];
		snprintf(name, sizeof name, "again%u", i);
		put(&a, name, "v");
	}
	uint64_t next = tenant_database(&a, 0)->table.next;
	shard_suspend(&a);
	store_settle(shard);
	assert_int_equal(tenant_database(&b, 0)->table.old.buckets, 0);
	assert_int_not_equal(tenant_database(&a, 0)->table.old.buckets, 0);
	assert_int_equal(tenant_database(&a, 0)->table.next, next);
	assert_true(shard_deadline(shard) > STORE_NOW);
	shard_resume(&a);
	assert_int_equal(shard_deadline(shard), STORE_NOW);
	store_settle(shard);
	assert_int_equal(tenant_database(&a, 0)->table.old.buckets, 0);
	end();
}

static void test_lower_limits_wait_for_a_suspended_tenant(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 100, DEADLINE_NONE);
	/* Above its quota already. */
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 90}, 1);
	shard_suspend(&a);
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 50}, 1);
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 10}, 1);
	store_settle(shard);
	assert_int_equal(counter_get(&a.counters.keys), 100);
	assert_int_equal(a.limits.max_entries, 90);
	assert_true(shard_deadline(shard) > STORE_NOW);
	shard_resume(&a);
	store_settle(shard);
	assert_int_equal(a.limits.max_entries, 10);
	assert_int_equal(counter_get(&a.counters.quota_entries), 10);
	assert_int_equal(counter_get(&a.counters.keys), 10);
	end();
}

static void test_a_suspended_tenant_must_evict_if_its_keys_exceed_its_limits(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 100, DEADLINE_NONE);
	const uint64_t bytes = counter_get(&a.counters.bytes);
	shard_suspend(&a);
	assert_false(shard_must_evict(&a));
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 99}, 1);
	assert_true(shard_must_evict(&a));
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 99, .eviction = EVICTION_NONE}, 1);
	assert_false(shard_must_evict(&a));
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 100, .max_memory = bytes - 1}, 1);
	assert_true(shard_must_evict(&a));
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 100, .max_memory = bytes}, 1);
	assert_false(shard_must_evict(&a));
	/* The memory of clients may exceed the quota until the command has ended. */
	tenant_charge_anyway(&a, 1000);
	counter_add(&a.counters.client_bytes, 1000);
	assert_false(shard_must_evict(&a));
	tenant_discharge(&a, 1000);
	counter_sub(&a.counters.client_bytes, 1000);
	shard_resume(&a);
	end();
}

static void test_a_new_name_waits_for_the_end_of_the_scope(void **state) {
	(void)state;
	static const struct tenant_identity named = {{0, 1}, "shop"};
	start();
	keyspace_begin_transaction(shard, 0);
	assert_int_equal(keyspace_swap(&a, 0, 1), 0);
	shard_suspend(&a);
	atomic_store(&a.identity, &named);
	tenant_set_limits(&a, &(struct tenant_limits){.max_entries = 7}, 1);
	const struct tenant_record *record = a.record;
	shard_resume(&a);
	(void)shard_work(shard, 10);
	assert_ptr_equal(a.record, record);
	keyspace_commit(shard);
	(void)shard_work(shard, 10);
	assert_ptr_not_equal(a.record, record);
	assert_string_equal(a.record->identity.name, "shop");
	assert_int_equal(a.limits.max_entries, 7);
	end();
}

/* Gives tenant a a quota of 1 MiB, and fills it until a key is evicted. */
static void fill_quota(void) {
	tenant_set_limits(&a, &(struct tenant_limits){.max_memory = 1 << 20}, 1);
	for (unsigned i = 0; counter_get(&a.counters.evictions) == 0; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		put(&a, name, "some value of a key that takes a little memory in all");
	}
}

static void test_charges_of_other_connections_evict_nothing_of_a_suspended_tenant(void **state) {
	(void)state;
	start();
	fill_quota();
	uint64_t keys = counter_get(&a.counters.keys), evictions = counter_get(&a.counters.evictions);
	shard_suspend(&a);
	/* More than is free: entries have to go for it. */
	uint64_t more = (1 << 20) - counter_get(&a.counters.bytes) + 50000;
	assert_int_equal(tenant_charge(&a, more), 0);
	assert_int_equal(tenant_charge_later(&a, 50000), 0);
	/* More than all its entries. */
	assert_int_equal(tenant_charge(&a, 2 << 20), ATOMDB_E_OOM);
	store_settle(shard);
	assert_true(shard_deadline(shard) > STORE_NOW);
	assert_int_equal(counter_get(&a.counters.keys), keys);
	assert_int_equal(counter_get(&a.counters.evictions), evictions);
	shard_resume(&a);
	store_settle(shard);
	assert_true(counter_get(&a.counters.bytes) <= 1 << 20);
	assert_true(counter_get(&a.counters.keys) < keys);
	tenant_discharge(&a, more + 50000);
	end();
}

static void test_expiry_for_a_resumed_command_evicts_nothing(void **state) {
	(void)state;
	start();
	fill_quota();
	assert_int_equal(store_put(&a, 0, "seen", "v", STORE_NOW + 15), 0);
	uint64_t keys = counter_get(&a.counters.keys), found = 0;
	shard_set_now(shard, STORE_NOW + 10, 1);
	shard_suspend(&a);
	/* Another connection of the tenant takes memory for which entries have to go later. */
	uint64_t more = (1 << 20) - counter_get(&a.counters.bytes) + 50000;
	assert_int_equal(tenant_charge(&a, more), 0);
	shard_set_now(shard, STORE_NOW + 20, 1);
	store_settle(shard);
	shard_resume(&a);
	shard->now_ms = STORE_NOW + 10;
	assert_int_equal(keyspace_size(&a, 0, &found, NULL), ATOMDB_E_AGAIN);
	for (unsigned tries = 0; keyspace_size(&a, 0, &found, NULL) == ATOMDB_E_AGAIN && tries < 100; tries++)
		shard_expire(shard, 10);
	assert_int_equal(found, keys);
	store_settle(shard);
	assert_true(counter_get(&a.counters.keys) < keys);
	tenant_discharge(&a, more);
	end();
}

static void put_large(struct tenant *t, unsigned number, int expected) {
	static char value[10000];
	char name[16];
	snprintf(name, sizeof name, "k%u", number);
	struct key key = store_key(t, 0, name);
	memset(value, 'x', sizeof value);
	assert_int_equal(
		string_set(t, &key, store_find(t, 0, name), (struct slice){value, sizeof value}, DEADLINE_NONE),
		expected);
}

static void test_a_suspended_tenant_above_its_share_gives_nothing_and_asks_for_no_work(void **state) {
	(void)state;
	struct memory_budget budget = {.limit = 16 << 20};
	start_with(&budget);
	uint64_t now_ns = 1;
	for (unsigned i = 0; i < 2000; i++)
		put_large(&a, i, 0);
	put_large(&b, 0, 0);
	store_settle(shard);
	uint64_t keys = counter_get(&a.counters.keys);
	/* Shedding had found it before. */
	shard->fair_share.furthest = &a;
	shard_suspend(&a);
	/* The reserve is gone. */
	for (unsigned i = 1; i < 80; i++)
		put_large(&b, i, 0);
	assert_true(memory_budget_excess(&budget) != 0);
	unsigned busy = 0;
	for (unsigned turn = 0; turn < 1000; turn++) {
		now_ns += 1000000;
		shard_set_now(shard, STORE_NOW + turn, now_ns);
		for (unsigned slices = 0; shard_work(shard, 100); slices++)
			assert_true(slices < 100);
		busy += shard_deadline(shard) <= STORE_NOW + turn + 1;
	}
	assert_int_equal(counter_get(&a.counters.keys), keys);
	assert_true(busy < 50);
	assert_true(shard_must_evict(&a));
	assert_false(shard_must_evict(&b));
	a.limits.eviction = EVICTION_NONE;
	assert_false(shard_must_evict(&a));
	a.limits.eviction = EVICTION_LRU;
	shard_resume(&a);
	for (unsigned turn = 1000; turn < 1100; turn++) {
		now_ns += 1000000;
		shard_set_now(shard, STORE_NOW + turn, now_ns);
		(void)store_settle(shard);
	}
	assert_true(counter_get(&a.counters.keys) < keys);
	end();
}

static void test_compaction_passes_over_a_suspended_tenant(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, 30000, DEADLINE_NONE);
	store_fill(&b, 0, 30000, DEADLINE_NONE);
	for (unsigned i = 0; i < 30000; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		if (i % 10 != 0) {
			del(&a, 0, name);
			del(&b, 0, name);
		}
	}
	keyspace_begin_transaction(shard, 0);
	put(&a, "k0", "new");
	del(&a, 0, "k10");
	assert_int_equal(keyspace_flush(&a, 1), 0);
	shard_suspend(&a);
	shard_purge(shard);
	for (unsigned slices = 0; shard_work(shard, 1000); slices++)
		assert_true(slices < 1000);
	assert_true(shard_deadline(shard) > STORE_NOW);
	assert_int_equal(counter_get(&a.counters.moved), 0);
	assert_true(counter_get(&b.counters.moved) > 0);
	assert_false(compact_move(shard, entry_ref(shard, store_find(&a, 0, "k20"))));
	crash();
	assert_int_equal(counter_get(&a.counters.keys), 3000);
	assert_int_equal(counter_get(&b.counters.keys), 3000);
	assert_true(has_value(&a, 0, "k0", "value") && store_has(&a, 0, "k10"));
	end();
}

/* ---- on fibers ---- */

#define MANY 20000

static void commit_many(void *context) {
	(void)context;
	keyspace_begin(shard);
	for (unsigned i = 0; i < MANY; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		put(&a, name, "another");
	}
	keyspace_commit(shard);
}

/* Runs a function as the command of `a` on a fiber that is suspended at each check point; `b` writes meanwhile. */
static unsigned run_on_fiber(void (*run)(void *context)) {
	struct fiber_pool pool;
	unsigned slices = 0;
	fiber_pool_init(&pool);
	struct fiber *f = fiber_take(&pool);
	assert_non_null(f);
	fiber_start(f, run, NULL);
	while (!fiber_resume(f, 0)) {
		shard_suspend(&a);
		write_b(slices++ % 100);
		shard_resume(&a);
	}
	fiber_put(&pool, f);
	fiber_pool_deinit(&pool);
	return slices;
}

static void test_the_end_of_a_long_scope_is_done_in_slices(void **state) {
	(void)state;
	start();
	store_fill(&a, 0, MANY, DEADLINE_NONE);
	uint64_t bytes = counter_get(&a.counters.bytes);
	/* The log grows in slices too. */
	assert_true(run_on_fiber(commit_many) >= 2 * 2 * MANY / 1024);
	assert_false(is_marked());
	assert_in_range(counter_get(&a.counters.bytes), bytes - MANY, bytes + MANY);
	for (unsigned i = 0; i < MANY; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%u", i);
		assert_true(has_value(&a, 0, name, "another"));
		assert_false(entry_fresh(store_find(&a, 0, name)));
	}
	crash();
	assert_int_equal(counter_get(&a.counters.keys), MANY);
	assert_true(has_value(&a, 0, "k7", "another"));
	end();
}

#define LONG ((size_t)20 << 20)

static void write_long(void *context) {
	(void)context;
	struct key key = store_key(&a, 0, "long"), other = store_key(&a, 0, "other");
	char *value = malloc(LONG), *bytes;
	memset(value, 'v', LONG);
	assert_int_equal(string_set(&a, &key, NULL, (struct slice){value, LONG}, DEADLINE_NONE), 0);
	free(value);
	assert_int_equal(string_resize(&a, &key, find_string(&a, "long"), LONG, (struct span){0, LONG}, &bytes), 0);
	memset(bytes, 'w', LONG);
	keyspace_commit(shard);
	assert_int_equal(keyspace_copy(&a, store_find(&a, 0, "long"), &other, NULL), 0);
	del(&a, 0, "long");
	assert_int_equal(keyspace_move(&a, &other, store_find(&a, 0, "other"), &key, NULL), 0);
}

static void test_a_long_value_is_copied_and_summed_up_in_slices(void **state) {
	(void)state;
	start();
	/* Four copies, five sums. */
	assert_true(run_on_fiber(write_long) > 4 * LONG / (256 << 10) + 4 * LONG / (1 << 20));
	const struct entry *e = store_find(&a, 0, "long");
	assert_non_null(e);
	assert_true(check_fits(e));
	assert_int_equal(counter_get(&a.counters.keys), 1);
	assert_int_equal(other_bytes(&a), 0);
	crash();
	assert_true(store_has(&a, 0, "long"));
	end();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_crash_takes_a_suspended_scope_back_and_no_write_of_a_neighbour),
		cmocka_unit_test(test_a_scope_that_was_suspended_commits),
		cmocka_unit_test(test_a_crash_at_any_instruction_leaves_all_or_nothing_of_the_scope),
		cmocka_unit_test(test_a_suspended_scope_may_be_taken_back_twice),
		cmocka_unit_test(test_a_block_that_the_scope_freed_is_a_neighbours_entry_after_a_crash),
		cmocka_unit_test(test_the_end_of_a_scope_leaves_fresh_entries_of_another_one_fresh),
		cmocka_unit_test(test_a_value_may_be_half_written_while_its_command_is_suspended),
		cmocka_unit_test(test_a_shard_with_a_suspended_scope_is_not_saved),
		cmocka_unit_test(test_an_earlier_release_refuses_an_arena_with_a_suspended_scope),
		cmocka_unit_test(test_only_databases_that_the_scope_dropped_wait_for_its_end),
		cmocka_unit_test(test_due_entries_of_a_suspended_tenant_are_parked),
		cmocka_unit_test(test_a_resumed_command_counts_no_key_that_was_due_at_its_time),
		cmocka_unit_test(test_a_command_whose_time_is_ahead_expires_nothing_of_a_neighbour),
		cmocka_unit_test(test_parked_entries_survive_a_close_a_save_and_a_new_name),
		cmocka_unit_test(test_tables_of_a_suspended_tenant_are_not_resized),
		cmocka_unit_test(test_lower_limits_wait_for_a_suspended_tenant),
		cmocka_unit_test(test_a_suspended_tenant_must_evict_if_its_keys_exceed_its_limits),
		cmocka_unit_test(test_a_new_name_waits_for_the_end_of_the_scope),
		cmocka_unit_test(test_charges_of_other_connections_evict_nothing_of_a_suspended_tenant),
		cmocka_unit_test(test_expiry_for_a_resumed_command_evicts_nothing),
		cmocka_unit_test(test_a_suspended_tenant_above_its_share_gives_nothing_and_asks_for_no_work),
		cmocka_unit_test(test_compaction_passes_over_a_suspended_tenant),
		cmocka_unit_test(test_the_end_of_a_long_scope_is_done_in_slices),
		cmocka_unit_test(test_a_long_value_is_copied_and_summed_up_in_slices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
