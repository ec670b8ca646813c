#include "observe/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "atomdb/util/clock.h"

/* /proc/self/stat: numbers of fields in proc(5), and the count of the last ones that are read. */
#define STAT_FIRST  3
#define STAT_START  22
#define STAT_VSIZE  23
#define STAT_RSS    24
#define STAT_FIELDS (STAT_RSS + 1)

/* Reads fields STAT_FIRST + 1 to STAT_RSS of `fields`. Returns 0 or -errno. */
static int read_stat(uint64_t fields[STAT_FIELDS]) {
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	/* The second field is the name of the program in parentheses, which may contain any byte; the third is a
	 * letter. */
	const char *at = strrchr(text, ')');
	if (at == NULL || strlen(at) < 4)
		return -EIO;
	at += 3;
	for (unsigned i = STAT_FIRST + 1; i <= STAT_RSS; i++) {
		int used = 0;
		int64_t value;
		if (sscanf(at, " %" SCNd64 "%n", &value, &used) != 1)
			return -EIO;
		fields[i] = (uint64_t)value;
		at += used;
	}
	return 0;
}

static uint64_t count_fds(void) {
	struct stat st;
	/* Kernels since 6.2 report the number of files as the size of this directory. */
	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return PROCESS_UNKNOWN;
	uint64_t count = 0;
	for (const struct dirent *e; (e = readdir(dir)) != NULL;)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count - 1; /* the descriptor of this walk itself */
}

static uint64_t microseconds(struct timeval t) {
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void process_read(struct process_counters *out) {
	memset(out, 0xff, sizeof(*out));
	struct rusage usage;
	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		out->cpu_user_us = microseconds(usage.ru_utime);
		out->cpu_system_us = microseconds(usage.ru_stime);
	}
	uint64_t fields[STAT_FIELDS] = {0};
	if (read_stat(fields) == 0) {
		out->virtual_bytes = fields[STAT_VSIZE];
		out->resident_bytes = fields[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
	}
	out->open_fds = count_fds();
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		out->max_fds = limit.rlim_cur;
}

uint64_t process_start_ms(void) {
	uint64_t fields[STAT_FIELDS] = {0};
	struct timespec boot;
	long hz = sysconf(_SC_CLK_TCK);
	if (read_stat(fields) != 0 || hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
		return PROCESS_UNKNOWN;
	int64_t since_boot = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000;
	int64_t age = since_boot - (int64_t)(fields[STAT_START] * 1000 / (uint64_t)hz);
	return (uint64_t)(clock_realtime_ms() - age);
}
