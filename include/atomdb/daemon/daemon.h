/* The daemon: starts and stops all floors, and is their control plane. */
#pragma once

struct config;
struct daemon_options;
struct journal;

/* Serves until SIGTERM or SIGINT. Takes over `config`. Returns 0 after an orderly stop, or a negative error, which has
 * been logged. */
int daemon_run(const struct daemon_options *options, struct config *config, struct journal *journal);
