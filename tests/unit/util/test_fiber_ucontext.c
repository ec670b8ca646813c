/* The cases of test_fiber.c with the switch for processors that have none in assembly. */
#define FIBER_UCONTEXT 1
#include "test_fiber.c"
#include "util/fiber.c"
