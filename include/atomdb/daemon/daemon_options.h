/* Options of the process that are not in the configuration. */
#pragma once

#include <stdint.h>

struct config;
struct config_error;

/* Options of the command line and the environment. The strings are not owned. */
struct daemon_options {
	const char *config_file; /* NULL: the built-in defaults */
	const char *credentials; /* directory of secrets, or NULL */
	const char *cgroup;      /* the file that names the control group of this process */
	const char *cgroup_root; /* the directory of all control groups */
	uint16_t port;           /* replaces resp.listen by this port on 127.0.0.1; 0: not given */
	uint16_t http_port;      /* replaces http.listen by this port on 127.0.0.1; 0: not given */
};

/* Loads the configuration that the options name. Returns the same as config_load. */
int daemon_load_config(const struct daemon_options *options, struct config **out, struct config_error *error);
