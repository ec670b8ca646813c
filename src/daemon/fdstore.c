#include "daemon/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define PATIENCE_USEC 5000000

int fdstore_put(const char *name, int fd) {
	char text[128];
	/* systemd must keep the file even if its other end is closed. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	int r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

void fdstore_remove(const char *name) {
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

int fdstore_settle(void) {
	int r = sd_notify_barrier(0, PATIENCE_USEC);
	return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

/* systemd does not report whether it keeps a file. So the daemon stores one end of a pipe: if systemd drops it, the
 * other end hangs up. */
bool fdstore_works(void) {
	static const char name[] = "atomdb-question";
	int ends[2];
	if (getenv("NOTIFY_SOCKET") == NULL || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	bool asked = fdstore_put(name, ends[1]) == 0;
	close(ends[1]);
	struct pollfd look = {.fd = ends[0], .events = POLLIN};
	bool works = asked && fdstore_settle() == 0 && poll(&look, 1, 0) == 0;
	close(ends[0]);
	fdstore_remove(name);
	return works;
}
