/* Listening sockets: "127.0.0.1:8080", "[::1]:8080", "unix:/run/atomdb/atomdb.sock", or handed in by systemd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Connections that may wait to be accepted. */
#define LISTENER_BACKLOG 4096

struct listener;

/* The mode and the group of a Unix socket: they decide which users may connect. */
struct listener_access {
	mode_t mode; /* of its file: bits of 0777 */
	gid_t group; /* LISTENER_OWN_GROUP: the process's own */
};
#define LISTENER_OWN_GROUP ((gid_t)-1)

/* Binds and listens. A Unix socket file of a dead server is replaced; the new one has its mode and its group before
 * anybody can connect. `access` is for Unix sockets. While it binds, the process has another umask: call it before
 * there are threads that make files. Returns 0, ATOMDB_E_SYNTAX for an address that does not parse, or -errno. */
int listener_open(struct listener **out, const char *address, const struct listener_access *access);
/* Takes over a listening stream socket. */
int listener_adopt(struct listener **out, int fd);
/* Refuses further connections; a Unix socket still gives out those that wait, TCP resets them. From any thread. */
void listener_refuse(struct listener *l);
/* Closes; removes the file of a Unix socket that it made. */
void listener_close(struct listener *l);

int listener_fd(const struct listener *l);
/* The bound address as text, for messages ("127.0.0.1:8080"). */
const char *listener_address(const struct listener *l);
/* Returns whether it is the socket of `address`, in any spelling. */
bool listener_is_at(const struct listener *l, const char *address);
uint16_t listener_port(const struct listener *l); /* 0 for a Unix socket */
/* Returns whether `address` can be reached from this host only: loopback or a Unix socket. Pure. */
bool listener_is_local(const char *address);
