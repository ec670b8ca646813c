/* Listening sockets: "127.0.0.1:8080", "[::1]:8080", "unix:/run/atomdb/atomdb.sock", or passed by systemd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Maximum number of connections that wait to be accepted. */
#define LISTENER_BACKLOG 4096

struct listener;

/* The mode and the group of a Unix socket. They decide which users may connect. */
struct listener_access {
	mode_t mode; /* mode of its file: bits of 0777 */
	gid_t group; /* LISTENER_OWN_GROUP: the group of the process */
};
#define LISTENER_OWN_GROUP ((gid_t)-1)

/* Binds and listens. Replaces the socket file of a server that has ended. The new file has its mode and its group
 * before any client can connect. `access` applies to Unix sockets. Changes the umask of the process while it binds:
 * call it before other threads create files. Returns 0, ATOMDB_E_SYNTAX for an invalid address, or -errno. */
int listener_open(struct listener **out, const char *address, const struct listener_access *access);
/* Takes over a listening stream socket. */
int listener_adopt(struct listener **out, int fd);
/* Refuses further connections. A Unix socket still delivers connections that wait; TCP resets them. Any thread may call
 * it. */
void listener_refuse(struct listener *l);
/* Closes the socket, and removes the file of a Unix socket that it created. */
void listener_close(struct listener *l);

int listener_fd(const struct listener *l);
/* Returns the bound address as text, for messages ("127.0.0.1:8080"). */
const char *listener_address(const struct listener *l);
/* Returns whether the listener is bound to `address`, in any spelling. */
bool listener_is_at(const struct listener *l, const char *address);
uint16_t listener_port(const struct listener *l); /* Returns the TCP port, 0 for a Unix socket. */
/* Returns whether only this host can reach `address`: loopback or a Unix socket. Pure. */
bool listener_is_local(const char *address);
