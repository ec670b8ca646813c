/* Points between two stores to the arena at which a process may end, and what it leaves must make sense.
 *
 * A process that is killed leaves all stores that its thread had executed, in order: the memfd is the same memory. So
 * order in the code is all that it takes, and the compiler must keep it. */
#pragma once

#include <stdatomic.h>

#ifdef ATOMDB_TEST_HOOKS
/* Ends the process, or leaves by longjmp, at a point that a test has chosen. */
void store_crash_point(void);
#define crash_point() store_crash_point()
#else
#define crash_point() atomic_signal_fence(memory_order_seq_cst)
#endif
