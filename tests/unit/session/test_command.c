#include <ctype.h>

#include "atomdb/session/command.h"
#include "world.h"

static const struct command *find(const char *name) {
	return command_find(&command_set, slice_of(name));
}

static const struct command *find_full(const char *name) {
	return command_find_full(&command_set, slice_of(name));
}

static void expect_name(const struct command *c, const char *name) {
	assert_non_null(c);
	assert_string_equal(c->name, name);
}

static void test_the_index_finds_each_command_in_any_case(void **state) {
	static struct command_index index;
	(void)state;
	assert_false(index.ready);
	command_index_build(&index, &command_set);
	assert_true(index.ready);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &command_set.rows[i];
		struct slice name = slice_of(c->name);
		char upper[64];
		assert_ptr_equal(command_index_find(&index, name), c);
		assert_ptr_equal(command_find(&command_set, name), c);
		for (size_t n = 0; n < name.len; n++)
			upper[n] = (char)toupper((unsigned char)name.data[n]);
		assert_ptr_equal(command_index_find(&index, (struct slice){upper, name.len}), c);
		assert_ptr_equal(command_find(&command_set, (struct slice){upper, name.len}), c);
	}
}

/* Searches an index in which the search for any name meets the slot of `c`. */
static const struct command *find_near(const struct command_index *index, const struct command *c, struct slice name) {
	static struct command_index crowded;
	size_t i = 0;
	while (index->slots[i].command != c)
		i++;
	for (size_t n = 0; n < COMMAND_SLOTS; n++)
		crowded.slots[n] = index->slots[i];
	/* A search ends at an empty slot. */
	crowded.slots[(i + COMMAND_SLOTS - 1) % COMMAND_SLOTS].length = 0;
	return command_index_find(&crowded, name);
}

static void test_the_index_finds_no_name_that_differs_in_one_byte(void **state) {
	static struct command_index index;
	(void)state;
	command_index_build(&index, &command_set);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &command_set.rows[i];
		struct slice name = slice_of(c->name);
		char other[64];
		for (size_t n = 0; n < name.len; n++) {
			memcpy(other, name.data, name.len);
			other[n] = '#';
			assert_null(command_index_find(&index, (struct slice){other, name.len}));
			assert_null(find_near(&index, c, (struct slice){other, name.len}));
		}
		memcpy(other, name.data, name.len);
		other[name.len] = '\0';
		assert_null(find_near(&index, c, (struct slice){other, name.len + 1}));
	}
	assert_null(command_index_find(&index, SLICE("")));
	/* More than the two words that the index compares. */
	assert_null(command_index_find(&index, SLICE("subscribe#ubscribe")));
}

static void test_subcommands_of_a_parent_follow_each_other(void **state) {
	size_t count, total = 0;
	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *parent = &command_set.rows[i];
		const struct command *sub = command_subcommands(&command_set, parent, &count);
		size_t prefix = strlen(parent->name);
		assert_int_equal(sub != NULL, count != 0);
		for (size_t n = 0; n < count; n++) {
			assert_memory_equal(sub[n].name, parent->name, prefix);
			assert_int_equal(sub[n].name[prefix], '|');
			assert_int_equal(sub[n].id, parent->id);
		}
		total += count;
	}
	assert_int_equal(total, command_set.subcommand_count);
	count = 1;
	assert_null(command_subcommands(&command_set, find("get"), &count));
	assert_int_equal(count, 0);
}

static void test_all_commands_come_once_and_subcommands_behind_their_parent(void **state) {
	const struct command *parent = NULL;
	size_t rows = 0, subcommands = 0;
	(void)state;
	for (const struct command *c = NULL; (c = command_next(&command_set, c)) != NULL;) {
		if (strchr(c->name, '|') == NULL) {
			assert_ptr_equal(c, &command_set.rows[rows++]);
			parent = c;
		} else {
			assert_int_equal(c->id, parent->id);
			subcommands++;
		}
	}
	assert_int_equal(rows, COMMAND_COUNT);
	assert_int_equal(subcommands, command_set.subcommand_count);
}

static void test_a_full_name_is_a_command_or_a_parent_and_its_subcommand(void **state) {
	(void)state;
	expect_name(find_full("GET"), "get");
	expect_name(find_full("client"), "client");
	expect_name(find_full("Client|LIST"), "client|list");
	assert_null(find_full(""));
	assert_null(find_full("client|"));
	assert_null(find_full("|list"));
	assert_null(find_full("client|list|"));
	assert_null(find_full("client|lis"));
	assert_null(find_full("get|list"));
	assert_null(find_full("nothing|list"));
	/* The subcommand of another parent. */
	assert_null(find_full("config|list"));
	expect_name(command_find_subcommand(&command_set, find("client"), SLICE("LIST")), "client|list");
	assert_null(command_find_subcommand(&command_set, find("client"), SLICE("client|list")));
}

static const struct command *find_arguments(const char *first, const char *second) {
	const struct slice argv[] = {slice_of(first), second == NULL ? SLICE("") : slice_of(second)};
	return command_find_arguments(&command_set, argv, second == NULL ? 1 : 2);
}

static void test_only_a_parent_uses_the_second_argument(void **state) {
	(void)state;
	expect_name(find_arguments("get", "list"), "get");
	expect_name(find_arguments("client", "list"), "client|list");
	expect_name(find_arguments("client", NULL), "client");
	assert_null(find_arguments("client", "nothing"));
	assert_null(find_arguments("nothing", "list"));
}

static void test_each_command_has_a_number_and_a_name_of_its_own(void **state) {
	static bool used[1024];
	size_t numbers = command_numbers();
	(void)state;
	assert_int_equal(numbers, COMMAND_COUNT + command_set.subcommand_count);
	assert_true(numbers <= sizeof(used));
	for (size_t i = 0; i < numbers; i++) {
		bool sub = i >= COMMAND_COUNT;
		const struct command *c = sub ? &command_set.subcommands[i - COMMAND_COUNT] : &command_set.rows[i];
		assert_true(c->number < numbers);
		assert_false(used[c->number]);
		used[c->number] = true;
		if (!sub)
			assert_string_equal(command_name(c->id), c->name);
	}
	assert_string_equal(command_name(COMMAND_GET), "get");
}

static uint32_t categories(uint32_t flags, uint32_t own) {
	return command_categories(&(struct command){.flags = flags, .categories = own});
}

static void test_flags_imply_categories(void **state) {
	(void)state;
	assert_int_equal(categories(0, 0), ACL_SLOW);
	assert_int_equal(categories(CMD_FAST, ACL_STRING), ACL_FAST | ACL_STRING);
	assert_int_equal(categories(CMD_WRITE, 0), ACL_WRITE | ACL_SLOW);
	assert_int_equal(categories(CMD_READONLY, 0), ACL_READ | ACL_SLOW);
	assert_int_equal(categories(CMD_ADMIN, 0), ACL_ADMIN | ACL_DANGEROUS | ACL_SLOW);
	assert_int_equal(categories(CMD_PUBSUB, 0), ACL_PUBSUB | ACL_SLOW);
}

static const char *category(enum acl_category bit) {
	return command_category_name((unsigned)__builtin_ctz(bit));
}

static void test_categories_have_the_names_of_redis(void **state) {
	(void)state;
	assert_string_equal(category(ACL_KEYSPACE), "keyspace");
	assert_string_equal(category(ACL_SORTEDSET), "sortedset");
	assert_string_equal(category(ACL_HYPERLOGLOG), "hyperloglog");
	assert_string_equal(category(ACL_PUBSUB), "pubsub");
	assert_string_equal(category(ACL_DANGEROUS), "dangerous");
	assert_string_equal(category(ACL_SCRIPTING), "scripting");
	assert_null(command_category_name((unsigned)__builtin_ctz(ACL_SCRIPTING) + 1));
	assert_int_equal(command_find_category(SLICE("SortedSet")), ACL_SORTEDSET);
	assert_int_equal(command_find_category(SLICE("scripting")), ACL_SCRIPTING);
	assert_int_equal(command_find_category(SLICE("sorted")), 0);
}

static void test_a_negative_arity_is_a_minimum(void **state) {
	const struct command exact = {.arity = 2}, least = {.arity = -2};
	(void)state;
	assert_false(command_arity_ok(&exact, 1));
	assert_true(command_arity_ok(&exact, 2));
	assert_false(command_arity_ok(&exact, 3));
	assert_false(command_arity_ok(&least, 1));
	assert_true(command_arity_ok(&least, 2));
	assert_true(command_arity_ok(&least, UINT32_MAX));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_index_finds_each_command_in_any_case),
		cmocka_unit_test(test_the_index_finds_no_name_that_differs_in_one_byte),
		cmocka_unit_test(test_subcommands_of_a_parent_follow_each_other),
		cmocka_unit_test(test_all_commands_come_once_and_subcommands_behind_their_parent),
		cmocka_unit_test(test_a_full_name_is_a_command_or_a_parent_and_its_subcommand),
		cmocka_unit_test(test_only_a_parent_uses_the_second_argument),
		cmocka_unit_test(test_each_command_has_a_number_and_a_name_of_its_own),
		cmocka_unit_test(test_flags_imply_categories),
		cmocka_unit_test(test_categories_have_the_names_of_redis),
		cmocka_unit_test(test_a_negative_arity_is_a_minimum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
