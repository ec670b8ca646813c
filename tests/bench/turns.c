/* atomdb_bench_turns: measures the CPU time of each turn of a worker's loop. tests/bench/run loads this library into
 * the daemon by LD_PRELOAD.
 *
 * A turn lasts from the return of epoll_pwait(2), which the worker calls by syscall(2), to its next call. The results
 * are in the file that $ATOMDB_BENCH_TURNS names. The daemon has one worker. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct turns {
	_Atomic uint64_t longest_ns; /* CPU time of the longest turn. A reader sets it to 0. */
	_Atomic uint64_t idle;       /* 1: the worker waits for its clients, and has no other work */
};

static struct turns *turns;
static long (*next)(long, ...);

static __attribute__((constructor)) void begin(void) {
	const char *path = getenv("ATOMDB_BENCH_TURNS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (mapped != MAP_FAILED)
		turns = mapped;
	*(void **)&next = dlsym(RTLD_NEXT, "syscall");
}

static uint64_t cpu_ns(void) {
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void note(uint64_t begin_ns) {
	uint64_t ns = cpu_ns() - begin_ns;

	if (begin_ns != 0 && ns > atomic_load(&turns->longest_ns))
		atomic_store(&turns->longest_ns, ns);
}

long syscall(long number, ...) {
	static _Thread_local uint64_t begin_ns;
	va_list list;
	long a[6], result;

	va_start(list, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number != SYS_epoll_pwait || !turns)
		return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	note(begin_ns);
	/* The fourth argument is the time to wait. */
	atomic_store(&turns->idle, (int)a[3] != 0);
	result = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	atomic_store(&turns->idle, 0);
	begin_ns = cpu_ns();
	return result;
}
