#include "daemon/restart_counters.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon_private.h"
#include "daemon/fdstore.h"

#define MAGIC UINT64_C(0x6c72656467657231)

static struct ledger *map(int fd) {
	void *at = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

static struct ledger *open_kept(int fd) {
	struct stat st;
	struct ledger *l = fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(*l) ? map(fd) : NULL;
	if (l == NULL || l->magic == MAGIC)
		return l;
	munmap(l, sizeof(*l));
	return NULL;
}

static struct ledger *make(void) {
	struct ledger *l = NULL;
	int fd = memfd_create(STORED_LEDGER, MFD_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*l)) == 0)
		l = map(fd);
	if (l != NULL) {
		l->magic = MAGIC;
		fdstore_remove(STORED_LEDGER);
		(void)fdstore_put(STORED_LEDGER, fd);
	}
	close(fd);
	return l;
}

struct ledger ledger_count(int fd, enum recovery_kind start, uint64_t dropped) {
	struct ledger *l = NULL, counts = {.magic = MAGIC};
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
