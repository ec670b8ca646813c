/* The listening sockets of the daemon, for RESP and HTTP. */
#pragma once

struct config;
struct daemon;

/* Takes the sockets that systemd passed, or opens the addresses of the configuration. Returns 0 or a negative error,
 * which has been logged. */
int sockets_open(struct daemon *d);
/* Stops listening, and accepts the clients that wait. Sockets of systemd stay open: clients wait there for the next
 * process. Call it before the workers stop. */
void sockets_stop_listening(struct daemon *d);
void sockets_close(struct daemon *d);
/* Logs a warning for each address of `config` at which none of systemd's sockets listens. Does nothing if the daemon
 * opened its sockets itself. */
void sockets_compare(struct daemon *d, const struct config *config);
