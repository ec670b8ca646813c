/* The peer of a socket: its address, and the host or user behind it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes the peer's address and the socket's own address as text of at most `size` bytes: "127.0.0.1:6379",
 * "[::1]:6379", "/run/atomdb.sock:0". A client of a Unix socket has no address: both are the listener's. */
void peer_addresses(int fd, char *address, char *local_address, size_t size);
/* Returns a number for the peer's host, or for the user at the other end of a Unix socket. 0 for loopback addresses and
 * for a socket without a peer. */
uint64_t peer_source(int fd);
