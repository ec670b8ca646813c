/* Crash points: barriers between two stores to the arena that the compiler must not reorder.
 *
 * A process may be killed at each of them, and recovery must understand the arena that it leaves. The memfd then has
 * all stores that the thread had executed, in order, so the order in the code is sufficient. */
#pragma once

#include <stdatomic.h>

#ifdef ATOMDB_TEST_HOOKS
/* Aborts the process, or leaves by longjmp(3), at the point that a test has chosen. */
void store_crash_point(void);
#define crash_point() store_crash_point()
#else
#define crash_point() atomic_signal_fence(memory_order_seq_cst)
#endif
