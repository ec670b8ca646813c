#include "atomdb/util/fiber.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#define FIBER_FEATURE(x) __has_feature(x)
#else
#define FIBER_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || FIBER_FEATURE(address_sanitizer)
#define FIBER_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__SANITIZE_THREAD__) || FIBER_FEATURE(thread_sanitizer)
#define FIBER_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#define FIBER_VALGRIND 1
#include <valgrind/valgrind.h>
#endif
#endif

/* Of the stack of an idle fiber, the bytes that stay resident. */
#define KEPT_RESIDENT ((size_t)32 << 10)

_Thread_local struct fiber *fiber_current;
_Thread_local unsigned fiber_forbidden;

/* --- the switch -------------------------------------------------------------------------------------------------- */

/* fiber_switch() saves the registers that the ABI preserves on the stack, stores the stack pointer in `*from`, and goes
 * on with the stack and the registers of `to`. The floating point control words are the same on all stacks.
 *
 * prepare() makes a stack from which the first switch calls fiber_body(); returns the `to` for it. `top` is aligned to
 * 16 bytes. */

static __attribute__((noreturn)) void fiber_body(void);

#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)

__attribute__((visibility("hidden"))) void atomdb_fiber_switch(void **from, void *to);
#define fiber_switch atomdb_fiber_switch

/* An indirect jump and not a return: the processor predicts a return to the caller of the other stack, and misses. */
__asm__(".text\n\t"
	".p2align 4\n\t"
	".globl atomdb_fiber_switch\n\t"
	".hidden atomdb_fiber_switch\n\t"
	".type atomdb_fiber_switch, @function\n"
	"atomdb_fiber_switch:\n\t"
	"pushq %rbp\n\t"
	"pushq %rbx\n\t"
	"pushq %r12\n\t"
	"pushq %r13\n\t"
	"pushq %r14\n\t"
	"pushq %r15\n\t"
	"movq %rsp, (%rdi)\n\t"
	"movq %rsi, %rsp\n\t"
	"popq %r15\n\t"
	"popq %r14\n\t"
	"popq %r13\n\t"
	"popq %r12\n\t"
	"popq %rbx\n\t"
	"popq %rbp\n\t"
	"popq %rcx\n\t"
	"jmp *%rcx\n\t"
	".size atomdb_fiber_switch, . - atomdb_fiber_switch\n");

static void *prepare(char *bottom, char *top) {
	void **at = (void **)(void *)top;
	(void)bottom;
	*--at = NULL; /* the return address of fiber_body() */
	*--at = (void *)(uintptr_t)fiber_body;
	for (int i = 0; i < 6; i++)
		*--at = NULL;
	return at;
}

#elif defined(__aarch64__) && !defined(FIBER_UCONTEXT)

__attribute__((visibility("hidden"))) void atomdb_fiber_switch(void **from, void *to);
#define fiber_switch atomdb_fiber_switch

__asm__(".text\n\t"
	".p2align 4\n\t"
	".globl atomdb_fiber_switch\n\t"
	".hidden atomdb_fiber_switch\n\t"
	".type atomdb_fiber_switch, %function\n"
	"atomdb_fiber_switch:\n\t"
	"stp x19, x20, [sp, #-160]!\n\t"
	"stp x21, x22, [sp, #16]\n\t"
	"stp x23, x24, [sp, #32]\n\t"
	"stp x25, x26, [sp, #48]\n\t"
	"stp x27, x28, [sp, #64]\n\t"
	"stp x29, x30, [sp, #80]\n\t"
	"stp d8, d9, [sp, #96]\n\t"
	"stp d10, d11, [sp, #112]\n\t"
	"stp d12, d13, [sp, #128]\n\t"
	"stp d14, d15, [sp, #144]\n\t"
	"mov x9, sp\n\t"
	"str x9, [x0]\n\t"
	"mov sp, x1\n\t"
	"ldp x21, x22, [sp, #16]\n\t"
	"ldp x23, x24, [sp, #32]\n\t"
	"ldp x25, x26, [sp, #48]\n\t"
	"ldp x27, x28, [sp, #64]\n\t"
	"ldp x29, x30, [sp, #80]\n\t"
	"ldp d8, d9, [sp, #96]\n\t"
	"ldp d10, d11, [sp, #112]\n\t"
	"ldp d12, d13, [sp, #128]\n\t"
	"ldp d14, d15, [sp, #144]\n\t"
	"ldp x19, x20, [sp], #160\n\t"
	"ret\n\t"
	".size atomdb_fiber_switch, . - atomdb_fiber_switch\n");

static void *prepare(char *bottom, char *top) {
	void **at = (void **)(void *)(top - 160);
	(void)bottom;
	memset(at, 0, 160);
	at[11] = (void *)(uintptr_t)fiber_body; /* x30 */
	return at;
}

#else
#include <ucontext.h>

static void fiber_switch(void **from, void *to) {
	ucontext_t here;
	*from = &here;
	swapcontext(&here, to);
}

static void *prepare(char *bottom, char *top) {
	const size_t size = (sizeof(ucontext_t) + 15) / 16 * 16;
	ucontext_t *u = (ucontext_t *)(void *)(top - size);
	getcontext(u);
	u->uc_stack.ss_sp = bottom;
	u->uc_stack.ss_size = (size_t)(top - size - bottom);
	u->uc_link = NULL;
	makecontext(u, fiber_body, 0);
	return u;
}

#endif

static void *bottom_of(const struct fiber *f) {
	return f->mapping + f->guard;
}

/* Tells the sanitizers that the thread has come to this fiber. */
static void entered(struct fiber *f) {
	(void)f;
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->fake, &f->outside_bottom, &f->outside_size);
#endif
}

static void leave(struct fiber *f) {
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->fake, f->outside_bottom, f->outside_size);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(f->outside_tsan, 0);
#endif
	fiber_switch(&f->own, f->outside);
	entered(f);
}

static void fiber_body(void) {
	struct fiber *f = fiber_current;
	entered(f);
	for (;;) {
		f->run(f->context);
		f->done = true;
		leave(f);
	}
}

void fiber_assert_allowed(void) {
	assert(fiber_forbidden == 0);
}

#ifdef ATOMDB_TEST_HOOKS
static bool test_yields;
static _Atomic uint64_t suspensions;

static __attribute__((constructor)) void read_environment(void) {
	test_yields = getenv("ATOMDB_TEST_YIELD") != NULL;
}

static __attribute__((destructor)) void print_suspensions(void) {
	if (test_yields)
		(void)fprintf(stderr, "%" PRIu64 " suspensions of commands\n", atomic_load(&suspensions));
}

bool fiber_test_yields(void) {
	return test_yields;
}

static void count_suspension(void) {
	atomic_fetch_add_explicit(&suspensions, 1, memory_order_relaxed);
}
#else
static void count_suspension(void) {
}
#endif

void fiber_yield(struct fiber *f) {
	assert(fiber_forbidden == 0);
	count_suspension();
	leave(f);
}

bool fiber_resume(struct fiber *f, uint64_t ticks) {
	uint64_t now = clock_ticks();
	assert(fiber_current == NULL && !f->done);
	work_meter_point();
	f->away += now - f->suspended;
	f->end = now + ticks;
	f->slices++;
	fiber_current = f;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->outside_fake, bottom_of(f), FIBER_STACK);
#endif
#ifdef FIBER_TSAN
	f->outside_tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
	fiber_switch(&f->outside, f->own);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->outside_fake, NULL, NULL);
#endif
	fiber_current = NULL;
	work_meter_point();
	f->suspended = clock_ticks();
	return f->done;
}

void fiber_start(struct fiber *f, void (*run)(void *), void *context) {
	assert(f->done);
	f->run = run;
	f->context = context;
	f->done = f->cancelled = false;
	f->slices = f->away = 0;
	f->suspended = clock_ticks();
}

/* --- work in pieces ---------------------------------------------------------------------------------------------- */

/* Bytes between two check points: some tens of microseconds if each page is new. */
#define PIECE ((size_t)64 << 10)

void fiber_copy(void *to, const void *from, size_t n) {
	char *out = to;
	const char *in = from;
	for (; n > PIECE; n -= PIECE, out += PIECE, in += PIECE) {
		memcpy(out, in, PIECE);
		(void)fiber_check();
	}
	if (n > 0)
		memcpy(out, in, n);
}

void fiber_fill(void *to, int byte, size_t n) {
	char *out = to;
	for (; n > PIECE; n -= PIECE, out += PIECE) {
		memset(out, byte, PIECE);
		(void)fiber_check();
	}
	memset(out, byte, n);
}

void fiber_move_up(void *at, size_t n, size_t by) {
	char *begin = at;
	for (; n > PIECE; n -= PIECE) {
		char *from = begin + n - PIECE;
		memmove(from + by, from, PIECE);
		(void)fiber_check();
	}
	memmove(begin + by, begin, n);
}

/* --- the pool ---------------------------------------------------------------------------------------------------- */

static struct fiber *make(void) {
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	struct fiber *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
	char *at = mmap(NULL, guard + FIBER_STACK, PROT_NONE, flags, -1, 0);
	if (at == MAP_FAILED || mprotect(at + guard, FIBER_STACK, PROT_READ | PROT_WRITE) != 0) {
		if (at != MAP_FAILED)
			munmap(at, guard + FIBER_STACK);
		free(f);
		return NULL;
	}
	/* Arguments of commands are on it. */
	(void)madvise(at + guard, FIBER_STACK, MADV_DONTDUMP);
	list_init(&f->link);
	f->mapping = at;
	f->guard = guard;
	f->done = true;
	f->own = prepare(bottom_of(f), at + guard + FIBER_STACK);
#ifdef FIBER_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
#ifdef FIBER_ASAN
	__lsan_register_root_region(bottom_of(f), FIBER_STACK);
#endif
#ifdef FIBER_VALGRIND
	f->valgrind = (unsigned)VALGRIND_STACK_REGISTER(bottom_of(f), at + guard + FIBER_STACK);
#endif
	return f;
}

static void discard(struct fiber *f) {
#ifdef FIBER_VALGRIND
	VALGRIND_STACK_DEREGISTER(f->valgrind);
#endif
#ifdef FIBER_ASAN
	__lsan_unregister_root_region(bottom_of(f), FIBER_STACK);
	__asan_unpoison_memory_region(bottom_of(f), FIBER_STACK);
#endif
#ifdef FIBER_TSAN
	__tsan_destroy_fiber(f->tsan);
#endif
	munmap(f->mapping, f->guard + FIBER_STACK);
	free(f);
}

/* Drops a fiber in the middle of its run. The memory of its function leaks, because the process is about to end. A leak
 * detector finds the memory from the stack. */
static void drop(struct fiber *f) {
#ifdef FIBER_ASAN
	static _Atomic(struct fiber *) dropped;
	f->context = atomic_load(&dropped);
	while (!atomic_compare_exchange_weak(&dropped, (struct fiber **)(void *)&f->context, f)) {
	}
#else
	discard(f);
#endif
}

void fiber_pool_init(struct fiber_pool *p) {
	list_init(&p->idle);
	p->count = 0;
}

void fiber_pool_deinit(struct fiber_pool *p) {
	while (!list_empty(&p->idle)) {
		struct fiber *f = list_entry(p->idle.next, struct fiber, link);
		list_remove(&f->link);
		discard(f);
	}
	p->count = 0;
}

struct fiber *fiber_take(struct fiber_pool *p) {
	if (list_empty(&p->idle))
		return make();
	struct fiber *f = list_entry(p->idle.prev, struct fiber, link);
	list_remove(&f->link);
	p->count--;
	return f;
}

void fiber_put(struct fiber_pool *p, struct fiber *f) {
	list_remove(&f->link);
	if (!f->done) {
		drop(f);
		return;
	}
	if (p->count == FIBER_POOL_KEPT) {
		discard(f);
		return;
	}
	/* A run of several slices may have been deep, and pays for the system call. */
	if (f->slices > 1)
		(void)madvise(bottom_of(f), FIBER_STACK - KEPT_RESIDENT, MADV_DONTNEED);
	list_push_back(&p->idle, &f->link);
	p->count++;
}
