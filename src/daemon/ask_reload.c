#include "atomdb/daemon/ask_reload.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "atomdb/util/error.h"

#define RELOAD_SECONDS 30

/* Returns false if /proc shows that the process does not block SIGHUP. A daemon blocks it; another process would be
 * killed. */
static bool takes_reload(pid_t pid) {
	char path[32], line[256];
	bool takes = true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return true; /* the process is hidden or gone: then the signal fails */
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "SigBlk:", 7) == 0)
			takes = (strtoull(line + 7, NULL, 16) & UINT64_C(1) << (SIGHUP - 1)) != 0;
	fclose(file);
	return takes;
}

int ask_reload(pid_t pid) {
	if (!takes_reload(pid))
		return -EINVAL;
	sigset_t answer;
	sigemptyset(&answer);
	sigaddset(&answer, SIGUSR1);
	sigprocmask(SIG_BLOCK, &answer, NULL);
	if (sigqueue(pid, SIGHUP, (union sigval){.sival_int = ASK_RELOAD}) != 0)
		return -errno;
	const struct timespec patience = {.tv_sec = RELOAD_SECONDS};
	siginfo_t info;
	int got;
	do
		got = sigtimedwait(&answer, &info, &patience);
	while ((got < 0 && errno == EINTR) || (got >= 0 && info.si_pid != pid));
	if (got < 0)
		return -ETIMEDOUT;
	return info.si_value.sival_int == ASK_RELOAD_DONE ? 0 : ATOMDB_E_SYNTAX;
}
