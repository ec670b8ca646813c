#include <stdlib.h>
#include <string.h>

#include "daemon/unit_job.h"
#include "harness.h"

static void without_a_bus_nothing_is_known(void **state) {
	(void)state;
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1), 0);
	struct unit_job job = unit_job_ask();
	assert_int_equal(job.fate, UNIT_UNKNOWN);
	assert_string_equal(job.triggers, "");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_bus_nothing_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
