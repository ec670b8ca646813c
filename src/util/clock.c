#include "atomdb/util/clock.h"

#include <time.h>

#ifdef ATOMDB_TEST_HOOKS
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const _Atomic int64_t *shift;

static void map_shift(void) {
	const char *path = getenv("ATOMDB_TEST_CLOCK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	shift = at == MAP_FAILED ? NULL : at;
	close(fd);
}

int64_t clock_test_shift_ms(void) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, map_shift);
	return shift == NULL ? 0 : *shift;
}
#else
#define clock_test_shift_ms() INT64_C(0)
#endif

int64_t clock_realtime_us(void) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec + clock_test_shift_ms() / 1000) * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_realtime_ms(void) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + clock_test_shift_ms();
}

uint64_t clock_monotonic_ns(void) {
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void clock_rate_init(struct clock_rate *start) {
	start->ticks = clock_ticks();
	start->ns = clock_monotonic_ns();
}

double clock_ticks_to_seconds(const struct clock_rate *start, uint64_t ticks) {
	uint64_t ticks_since = clock_ticks() - start->ticks;
	uint64_t ns_since = clock_monotonic_ns() - start->ns;
	/* The rate is unknown until the clock has advanced: assume one tick per nanosecond. */
	if (ticks_since == 0 || ns_since == 0)
		return (double)ticks / 1e9;
	return (double)ticks * ((double)ns_since / (double)ticks_since) / 1e9;
}
