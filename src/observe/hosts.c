#include "atomdb/observe/hosts.h"

#include <arpa/inet.h>
#include <unistd.h>

/* Maximum length of a host that can be an address. */
#define ADDRESS_MAX 64

static bool is_address(int family, struct slice host) {
	char text[ADDRESS_MAX];
	struct in6_addr address;
	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.data, host.len);
	text[host.len] = '\0';
	return strlen(text) == host.len && inet_pton(family, text, &address) == 1;
}

/* Removes a port (":8081"). Returns false if other text is there. */
static bool take_port(struct slice *host) {
	const char *colon = host->len > 0 ? memrchr(host->data, ':', host->len) : NULL;
	if (colon == NULL)
		return true;
	for (const char *p = colon + 1; p < host->data + host->len; p++) {
		if (*p < '0' || *p > '9')
			return false;
	}
	host->len = (size_t)(colon - host->data);
	return true;
}

/* Parses an IPv6 address in brackets, with or without a port. */
static bool is_bracketed(struct slice host) {
	const char *end = memchr(host.data, ']', host.len);
	if (end == NULL)
		return false;
	struct slice address = {host.data + 1, (size_t)(end - host.data - 1)};
	struct slice port = {end + 1, host.len - address.len - 2};
	return take_port(&port) && port.len == 0 && is_address(AF_INET6, address);
}

static bool ends_with(struct slice s, const char *end) {
	size_t len = strlen(end);
	return s.len >= len && strncasecmp(s.data + s.len - len, end, len) == 0;
}

void hosts_init(struct hosts *h) {
	*h = (struct hosts){0};
	if (gethostname(h->own, sizeof(h->own) - 1) < 0)
		h->own[0] = '\0';
}

void hosts_add(struct hosts *h, const char *name) {
	if (h->count < HOSTS_MAX && strlen(name) <= HOST_MAX)
		memcpy(h->names[h->count++], name, strlen(name) + 1);
}

bool hosts_know(const struct hosts *h, struct slice host) {
	if (host.len > 0 && host.data[0] == '[')
		return h->any || is_bracketed(host);
	if (!take_port(&host))
		return h->any;
	if (host.len > 0 && host.data[host.len - 1] == '.')
		host.len--;
	struct slice label = {h->own, strcspn(h->own, ".")};
	if (host.len == 0)
		return h->any;
	if (h->any || is_address(AF_INET, host) || slice_is(host, "localhost") || ends_with(host, ".localhost"))
		return true;
	if (slice_is(host, h->own) || (host.len == label.len && strncasecmp(host.data, label.data, label.len) == 0))
		return true;
	for (unsigned i = 0; i < h->count; i++) {
		if (slice_is(host, h->names[i]))
			return true;
	}
	return false;
}
