#include "atomdb/commands/table.h"
#include "world.h"

static void test_every_row_has_its_id_name_and_handler(void **state) {
	(void)state;
	for (unsigned id = 0; id < COMMAND_COUNT; id++) {
		const struct command *c = &command_set.rows[id];
		assert_int_equal(c->id, id);
		assert_int_equal(c->number, id);
		assert_string_equal(c->name, command_name((enum command_id)id));
		assert_non_null(c->run);
		assert_non_null(c->summary);
	}
}

static void test_subcommands_follow_each_other_and_have_numbers_of_their_own(void **state) {
	size_t seen = 0;
	(void)state;
	for (unsigned id = 0; id < COMMAND_COUNT; id++) {
		size_t count;
		const struct command *sub = command_subcommands(&command_set, &command_set.rows[id], &count);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(sub[i].id, id);
			assert_non_null(sub[i].run);
		}
		seen += count;
	}
	assert_int_equal(seen, command_set.subcommand_count);
	for (size_t i = 0; i < command_set.subcommand_count; i++)
		assert_int_equal(command_set.subcommands[i].number, COMMAND_COUNT + i);
	assert_int_equal(command_numbers(), COMMAND_COUNT + command_set.subcommand_count);
}

static bool has(const char *name, uint32_t flag) {
	return (command_find(&command_set, slice_of(name))->flags & flag) != 0;
}

static void test_commands_behave_in_transactions_subscribers_and_pauses_by_their_flags(void **state) {
	(void)state;
	assert_true(has("exec", CMD_IN_MULTI));
	assert_true(has("quit", CMD_IN_MULTI));
	assert_false(has("unwatch", CMD_IN_MULTI));
	assert_false(has("get", CMD_IN_MULTI));
	assert_true(has("ping", CMD_IN_SUBSCRIBER));
	assert_true(has("sunsubscribe", CMD_IN_SUBSCRIBER));
	assert_false(has("publish", CMD_IN_SUBSCRIBER));
	assert_true(has("pfcount", CMD_MAY_WRITE));
	assert_true(has("quit", CMD_IN_PAUSE));
	assert_false(has("reset", CMD_IN_PAUSE));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_has_its_id_name_and_handler),
		cmocka_unit_test(test_subcommands_follow_each_other_and_have_numbers_of_their_own),
		cmocka_unit_test(test_commands_behave_in_transactions_subscribers_and_pauses_by_their_flags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
