#include "alloc_fail.h"
#include "atomdb/events/changes.h"
#include "world.h"

static void add(struct changes **c, struct client *by, const char *name) {
	assert_int_equal(changes_add(c, by->session.tenant, slice_of(name), &by->session), 0);
}

static void test_each_key_is_kept_once_in_order_with_its_latest_writer(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct client *b = join(w, a);
	struct changes *c = NULL;
	(void)state;
	add(&c, a, "b");
	add(&c, a, "a");
	add(&c, a, "");
	add(&c, b, "b");
	add(&c, a, "ab");
	changes_sort(c);
	static const char *const names[] = {"", "a", "ab", "b"};
	assert_int_equal(c->count, 4);
	for (size_t i = 0; i < c->count; i++)
		assert_true(slice_equal(changes_name(c, i), slice_of(names[i])));
	assert_ptr_equal(c->keys[3].writer, &b->session);
	assert_true(changes_written_by(c, &b->session));
	changes_free(c);
	client_free(b);
	close_world(w, a);
}

static void test_the_tenant_is_charged_until_they_are_freed(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct changes *c = NULL;
	(void)state;
	uint64_t before = charged_for_clients(a);
	add(&c, a, "one");
	uint64_t one = charged_for_clients(a);
	add(&c, a, "two");
	assert_true(one >= before + sizeof(*c) + 3);
	assert_true(charged_for_clients(a) >= one + 3);
	changes_free(c);
	assert_int_equal(charged_for_clients(a), before);
	changes_free(NULL);
	close_world(w, a);
}

static void test_names_beyond_the_quota_are_refused(void **state) {
	const struct tenant_limits limits = {.max_memory = 65536};
	static char name[8192];
	struct client *a;
	struct world *w = open_world(&limits, &a);
	struct changes *c = NULL;
	(void)state;
	uint64_t before = charged_for_clients(a);
	int error = 0;
	unsigned added = 0;
	for (; error == 0 && added < 100; added++)
		error = changes_add(&c, a->session.tenant, (struct slice){name, sizeof(name)}, NULL);
	assert_true(error < 0);
	assert_true(added > 1);
	changes_free(c);
	assert_int_equal(charged_for_clients(a), before);
	close_world(w, a);
}

static void test_a_key_for_which_an_allocation_fails_is_not_charged(void **state) {
	struct client *a;
	struct world *w = open_world(NULL, &a);
	struct tenant *t = a->session.tenant;
	(void)state;
	uint64_t before = charged_for_clients(a);
	/* The struct, the array of keys, the names. */
	for (unsigned nth = 1; nth <= 3; nth++) {
		struct changes *c = NULL;
		alloc_fail_at = nth;
		assert_true(changes_add(&c, t, SLICE("key"), NULL) < 0);
		assert_int_equal(alloc_fail_at, 0);
		assert_int_equal(charged_for_clients(a), before + (c == NULL ? 0 : sizeof(*c)));
		assert_true(c == NULL || c->count == 0);
		changes_free(c);
		assert_int_equal(charged_for_clients(a), before);
	}
	close_world(w, a);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_key_is_kept_once_in_order_with_its_latest_writer),
		cmocka_unit_test(test_the_tenant_is_charged_until_they_are_freed),
		cmocka_unit_test(test_names_beyond_the_quota_are_refused),
		cmocka_unit_test(test_a_key_for_which_an_allocation_fails_is_not_charged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
