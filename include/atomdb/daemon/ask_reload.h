/* Asks a running daemon to reload its configuration. */
#pragma once

#include <sys/types.h>

/* Values that accompany the signals. SIGHUP with ASK_RELOAD requests a reload; the daemon replies by SIGUSR1. */
enum { ASK_RELOAD = 0x61746f6d, ASK_RELOAD_DONE = 1, ASK_RELOAD_REFUSED = 2 };

/* Makes the daemon of process `pid`, which runs as the same user, read its configuration again, and waits for the
 * result. Returns 0, ATOMDB_E_SYNTAX if the daemon refuses the configuration and keeps its own, -EINVAL if the process
 * is no such daemon (no signal is sent), -ETIMEDOUT, or the -errno of the signal. */
int ask_reload(pid_t pid);
