#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "atomdb/util/hash.h"

static void format_address(const struct sockaddr_storage *from, char *out, size_t size) {
	char host[INET6_ADDRSTRLEN] = "";
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else if (from->ss_family == AF_UNIX) {
		const struct sockaddr_un *local = (const struct sockaddr_un *)from;
		snprintf(out, size, "%.*s:0", (int)(size - 3), local->sun_path);
	} else {
		snprintf(out, size, "?:0");
	}
}

void peer_addresses(int fd, char *address, char *local_address, size_t size) {
	struct sockaddr_storage peer = {0}, own = {0};
	socklen_t length = sizeof(own);
	if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
		own.ss_family = AF_UNSPEC;
	length = sizeof(peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		peer.ss_family = AF_UNSPEC;
	if (own.ss_family == AF_UNIX)
		peer = own;
	format_address(&peer, address, size);
	format_address(&own, local_address, size);
}

/* A host can choose any address of its /64 network of IPv6, so that the network counts as one source. */
static uint64_t source_of_ip(const struct sockaddr_storage *from) {
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t text[9] = {(uint8_t)from->ss_family};
	const uint8_t *v4 = NULL;
	if (from->ss_family == AF_INET) {
		v4 = (const uint8_t *)&((const struct sockaddr_in *)from)->sin_addr;
	} else {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)from)->sin6_addr;
		if (IN6_IS_ADDR_LOOPBACK(v6))
			return 0;
		if (memcmp(v6->s6_addr, mapped, sizeof(mapped)) == 0)
			v4 = v6->s6_addr + sizeof(mapped);
		else
			memcpy(text + 1, v6->s6_addr, 8);
	}
	if (v4 != NULL) {
		if (v4[0] == 127)
			return 0;
		text[0] = AF_INET;
		memcpy(text + 1, v4, 4);
	}
	static const struct hash_seed seed = {0, 0};
	return hash_bytes(&seed, (const char *)text, sizeof(text)) | 1;
}

uint64_t peer_source(int fd) {
	struct sockaddr_storage from = {0};
	struct ucred user;
	socklen_t length = sizeof(from);
	if (getpeername(fd, (struct sockaddr *)&from, &length) < 0)
		return 0;
	if (from.ss_family == AF_INET || from.ss_family == AF_INET6)
		return source_of_ip(&from);
	length = sizeof(user);
	if (from.ss_family != AF_UNIX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &length) < 0)
		return 0;
	return (uint64_t)1 << 32 | user.uid;
}
