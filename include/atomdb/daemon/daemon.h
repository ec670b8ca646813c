/* The daemon: composes the floors and is their control plane, from start to stop. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "atomdb/daemon/config.h"
#include "atomdb/daemon/journal.h"

/* What the command line and the environment say; the strings are not owned. */
struct daemon_options {
	const char *config_file; /* NULL: the built-in defaults */
	const char *credentials; /* directory of secrets, or NULL */
	const char *cgroup;      /* the file that names the control group of this process */
	const char *cgroup_root; /* the directory of all control groups */
	uint16_t port;           /* instead of resp.listen, on 127.0.0.1; 0: not given */
	uint16_t http_port;      /* likewise */
};

/* The configuration that the options ask for. As config_load. */
int daemon_load_config(const struct daemon_options *options, struct config **out, struct config_error *error);

/* Serves until SIGTERM or SIGINT; takes over `config`. Returns 0 after an orderly stop, or a negative error that has
 * been reported. */
int daemon_run(const struct daemon_options *options, struct config *config, struct journal *journal);

/* Makes the daemon of process `pid`, which runs as the same user, read its configuration again, and waits for what
 * became of it. 0, ATOMDB_E_SYNTAX where the daemon refuses it and goes on with what it has, -EINVAL where the process
 * is another one, which gets no signal, -ETIMEDOUT, or the -errno of the signal. */
int daemon_ask_reload(pid_t pid);
