/* Counts the work of the daemon for atomdb/util/work_meter.h: CMake compiles the daemon with
 * -fsanitize-coverage=trace-pc and links it with --wrap for each function here. The weights are rough costs in
 * nanoseconds. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "atomdb/util/work_meter.h"

#if defined(__clang__)
#define NOT_COUNTED __attribute__((no_sanitize("coverage", "address", "undefined")))
#else
#define NOT_COUNTED __attribute__((no_sanitize_coverage, no_sanitize_address, no_sanitize_undefined))
#endif

/* Bytes that the processor copies, and bytes that the kernel maps or unmaps, for one unit. */
#define COPIED  8
#define MAPPED  64
#define SYSCALL 500
/* realloc(3) moves the pages of a large block by mremap(2). */
#define REMAPPED 512

/* Returns the resident bytes of a mapping. */
static NOT_COUNTED size_t resident(void *at, size_t n) {
	static _Thread_local unsigned char there[4096];
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), most = sizeof(there) * page;
	size_t pages = 0;
	for (size_t done = 0; done < n; done += most) {
		size_t part = n - done < most ? n - done : most;
		if (mincore((char *)at + done, part, there) != 0)
			return n;
		for (size_t i = 0; i < (part + page - 1) / page; i++)
			pages += there[i] & 1;
	}
	return pages * page;
}

void __sanitizer_cov_trace_pc(void);

NOT_COUNTED void __sanitizer_cov_trace_pc(void) {
	work_meter.done++;
}

#define WRAP(result, name, parameters, arguments, units) \
	result __real_##name parameters;                 \
	result __wrap_##name parameters;                 \
	NOT_COUNTED result __wrap_##name parameters {    \
		work_meter.done += (uint64_t)(units);    \
		return __real_##name arguments;          \
	}

WRAP(void *, memcpy, (void *to, const void *from, size_t n), (to, from, n), n / COPIED)
WRAP(void *, memmove, (void *to, const void *from, size_t n), (to, from, n), n / COPIED)
WRAP(void *, memset, (void *to, int byte, size_t n), (to, byte, n), n / COPIED)
WRAP(int, memcmp, (const void *a, const void *b, size_t n), (a, b, n), n / COPIED)
WRAP(int, crypto_hash_sha256, (unsigned char *out, const unsigned char *in, unsigned long long n), (out, in, n), n * 10)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), n *size / MAPPED)
WRAP(void *, realloc, (void *p, size_t size), (p, size), malloc_usable_size(p) / REMAPPED)
/* Only MADV_DONTNEED takes time for each page. */
WRAP(int, madvise, (void *at, size_t n, int advice), (at, n, advice),
     SYSCALL + (advice == MADV_DONTNEED ? n / MAPPED : 0))
WRAP(int, munmap, (void *at, size_t n), (at, n), SYSCALL + resident(at, n) / MAPPED)
WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t n), (fd, mode, offset, n), SYSCALL + n / MAPPED)

void __real_free(void *p);
void __wrap_free(void *p);

NOT_COUNTED void __wrap_free(void *p) {
	work_meter.done += malloc_usable_size(p) / MAPPED;
	__real_free(p);
}

#define WRAP_TRANSFER(name, parameters, arguments)                                       \
	ssize_t __real_##name parameters;                                                \
	ssize_t __wrap_##name parameters;                                                \
	NOT_COUNTED ssize_t __wrap_##name parameters {                                   \
		ssize_t moved = __real_##name arguments;                                 \
		work_meter.done += SYSCALL + (moved > 0 ? (uint64_t)moved / COPIED : 0); \
		return moved;                                                            \
	}

WRAP_TRANSFER(send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
WRAP_TRANSFER(sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP_TRANSFER(writev, (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP_TRANSFER(write, (int fd, const void *from, size_t n), (fd, from, n))

/* recvfrom(2) and sendto(2) of the hot path. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

NOT_COUNTED long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
	long result = __real_syscall(number, a, b, c, d, e, f);
	work_meter.done += SYSCALL;
	if ((number == SYS_recvfrom || number == SYS_sendto) && result > 0)
		work_meter.done += (uint64_t)result / COPIED;
	return result;
}
