#include "daemon/restart_counters.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon_state.h"
#include "daemon/fdstore.h"

#define MAGIC UINT64_C(0x6c72656467657231)

static struct restart_counters *map(int fd) {
	void *at = mmap(NULL, sizeof(struct restart_counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

static struct restart_counters *open_kept(int fd) {
	struct stat st;
	struct restart_counters *l = fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(*l) ? map(fd) : NULL;
	if (l == NULL || l->magic == MAGIC)
		return l;
	munmap(l, sizeof(*l));
	return NULL;
}

static struct restart_counters *make(void) {
	struct restart_counters *l = NULL;
	int fd = memfd_create(STORED_RESTART_COUNTERS, MFD_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*l)) == 0)
		l = map(fd);
	if (l != NULL) {
		l->magic = MAGIC;
		fdstore_remove(STORED_RESTART_COUNTERS);
		(void)fdstore_put(STORED_RESTART_COUNTERS, fd);
	}
	close(fd);
	return l;
}

struct restart_counters restart_counters_add(int fd, enum recovery_kind start, uint64_t dropped) {
	struct restart_counters *l = NULL, counts = {.magic = MAGIC};
	if (fd >= 0) {
		l = open_kept(fd);
		close(fd);
	}
	if (l == NULL)
		l = make();
	if (l == NULL)
		return counts;
	l->restarts += start == RECOVERY_CLEAN;
	l->crashes += start == RECOVERY_CRASHED;
	l->dropped += dropped;
	counts = *l;
	munmap(l, sizeof(*l));
	return counts;
}
