#include "store/arena/crash_point.h"

#ifdef ATOMDB_TEST_HOOKS
#include <stdatomic.h>
#include <stdlib.h>

/* Aborts at the crash point whose number is in $ATOMDB_CRASH_POINT. A test may replace this function. */
__attribute__((weak)) void store_crash_point(void) {
	static _Atomic unsigned long left;
	static _Atomic int known;

	if (!atomic_exchange(&known, 1)) {
		const char *text = getenv("ATOMDB_CRASH_POINT");

		atomic_store(&left, text != NULL ? strtoul(text, NULL, 10) : 0);
	}
	if (atomic_load(&left) != 0 && atomic_fetch_sub(&left, 1) == 1)
		abort();
}
#endif
