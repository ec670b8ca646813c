/* Adoption of an arena of another release with the same format, whose root and tenants' records have other sizes. */
#include <string.h>
#include <unistd.h>

#include "atomdb/store/keyspace.h"
#include "atomdb/store/shard.h"
#include "atomdb/store/shard_open.h"
#include "atomdb/store/shard_tenants.h"
#include "atomdb/store/string.h"
#include "atomdb/store/tenant.h"
#include "atomdb/util/error.h"
#include "harness.h"
#include "store/arena/adopt.h"
#include "store/arena/pages.h"
#include "store/as_string.h"
#include "store/keyspace/record.h"

#define MORE 16 /* bytes that only the other release has */

static const struct tenant_identity identity = {.digest = {1}};
static struct shard *shard;
static struct tenant tenant;

static struct key key_of(const char *name) {
	return keyspace_key(&tenant, keyspace_db_slot(&tenant, 0), slice_of(name));
}

static void fill(void) {
	assert_int_equal(shard_new(&shard, &(struct shard_options){0}), 0);
	shard_set_now(shard, 1700000000000, 1);
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	atomic_store(&tenant.identity, &identity);
	assert_int_equal(shard_open_tenant(shard, &tenant), 0);
	struct key key = key_of("key");
	assert_int_equal(string_set(&tenant, &key, NULL, SLICE("value"), DEADLINE_NONE), 0);
}

/* Ends the process, after a save if `clean` is true. Returns the memfd. */
static int leave(bool clean) {
	if (clean)
		assert_int_equal(shard_save(shard), 0);
	int fd = shard_fd(shard);
	arena_disown(shard->arena);
	shard_free(shard);
	return fd;
}

static void adopt(void *context, uint32_t slot, const struct tenant_identity *found) {
	(void)context;
	assert_int_equal(found->digest[0], 1);
	shard_adopt_tenant(shard, slot, &tenant);
}

static int take_over(int fd) {
	int error = shard_new(&shard, &(struct shard_options){.fd = fd, .now_ms = 1700000000000});
	if (error != 0)
		return error;
	shard_set_now(shard, 1700000000000, 1);
	tenant_init(&tenant, shard, &(struct tenant_limits){0});
	atomic_store(&tenant.identity, &identity);
	shard_each_tenant(shard, adopt, NULL);
	return 0;
}

static void check(bool clean) {
	char text[STRING_TEXT];
	struct key key = key_of("key");
	const struct entry *e = keyspace_find(&tenant, &key, LOOKUP_READ);
	assert_non_null(e);
	assert_true(slice_equal(string_value(as_string(e), text), SLICE("value")));
	assert_int_equal(shard_recovery(shard)->kind, clean ? RECOVERY_CLEAN : RECOVERY_CRASHED);
	assert_int_equal(shard_recovery(shard)->dropped, 0);
}

static uint64_t used(void) {
	return counter_get(&arena_counters(shard->arena)->used);
}

static void end(void) {
	shard_close_tenant(shard, &tenant);
	shard_free(shard);
}

/* The other release finds zeros instead of its own fields, which may be out of date. */
static void a_larger_root_shrinks_and_the_rest_is_zero(void **state) {
	(void)state;
	for (unsigned clean = 0; clean < 2; clean++) {
		fill();
		char *rest = (char *)(shard->root + 1);
		memset(rest, 'x', MORE);
		shard->arena->header->root_size = sizeof(*shard->root) + MORE;
		assert_int_equal(take_over(leave(clean)), 0);
		check(clean);
		assert_int_equal(shard->arena->header->root_size, sizeof(*shard->root));
		rest = (char *)(shard->root + 1);
		for (unsigned i = 0; i < MORE; i++)
			assert_int_equal(rest[i], 0);
		/* Once more, with the present size. */
		assert_int_equal(take_over(leave(clean)), 0);
		check(clean);
		end();
	}
}

static void a_smaller_root_grows_within_its_block(void **state) {
	(void)state;
	for (unsigned clean = 0; clean < 2; clean++) {
		fill();
		struct arena *a = shard->arena;
		ref root = a->header->root;
		int fd = leave(clean);
		bool saved;
		assert_int_equal(arena_adopt(&a, fd, &saved), 0);
		assert_int_equal(saved, clean);
		assert_int_equal(arena_find_root(a, SHARD_ROOT_LEAST, sizeof(struct shard_root) + MORE), root);
		arena_fit_root(a, sizeof(struct shard_root) + MORE);
		assert_int_equal(a->header->root_size, sizeof(struct shard_root) + MORE);
		const char *rest = (const char *)arena_at(a, root) + sizeof(struct shard_root);
		for (unsigned i = 0; i < MORE; i++)
			assert_int_equal(rest[i], 0);
		/* There is no room beyond the block. */
		assert_int_equal(arena_find_root(a, SHARD_ROOT_LEAST, SHARD_ROOT_MOST), root);
		assert_int_equal(arena_find_root(a, SHARD_ROOT_LEAST, SHARD_ROOT_MOST + 1), 0);
		arena_close(a);
	}
}

static void a_root_of_no_release_is_refused(void **state) {
	const uint64_t sizes[] = {0, SHARD_ROOT_LEAST - 1, SHARD_ROOT_MOST + 1, UINT64_MAX};
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill();
		shard->arena->header->root_size = sizes[i];
		int fd = leave(false);
		assert_int_equal(take_over(fd), ATOMDB_E_FORMAT);
		close(fd);
	}
}

/* Replaces the tenant's record by that of a release with larger records. */
static void enlarge_record(void) {
	size_t size = sizeof(struct tenant_record) + MORE;
	ref block = arena_alloc_zero(shard->arena, size, ARENA_OTHER);
	struct tenant_slot *slot = &shard_directory(shard)[tenant.slot];
	assert_int_not_equal(block, 0);
	memcpy(arena_at(shard->arena, block), tenant.record, sizeof(struct tenant_record));
	arena_free(shard->arena, slot->record, sizeof(struct tenant_record), ARENA_OTHER);
	slot->record = block;
	tenant.record = arena_at(shard->arena, block);
}

static void a_larger_record_gets_the_size_of_this_release(void **state) {
	(void)state;
	for (unsigned clean = 0; clean < 2; clean++) {
		fill();
		uint64_t before = used();
		enlarge_record();
		assert_int_equal(used(), before + MORE);
		assert_int_equal(take_over(leave(clean)), 0);
		check(clean);
		assert_int_equal(used(), before);
		size_t size;
		ref record = shard_directory(shard)[tenant.slot].record;
		assert_true(arena_find_block(shard->arena, record, ARENA_OTHER, &size));
		assert_int_equal(size, arena_block_size(sizeof(struct tenant_record)));
		end();
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_larger_root_shrinks_and_the_rest_is_zero),
		cmocka_unit_test(a_smaller_root_grows_within_its_block),
		cmocka_unit_test(a_root_of_no_release_is_refused),
		cmocka_unit_test(a_larger_record_gets_the_size_of_this_release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
