#include "atomdb/observe/http_auth.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Maximum length of a decoded credential: a user name and the longest secret. */
#define CREDENTIALS_MAX 20480

/* Returns the header behind the name of the scheme, or NULL if it has another scheme. */
static const char *behind_scheme(const char *header, const char *scheme) {
	size_t len = strlen(scheme);
	if (strncasecmp(header, scheme, len) != 0 || header[len] != ' ')
		return NULL;
	return header + len + strspn(header + len, " ");
}

static int sextet(char c) {
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Reads base64 (RFC 4648, section 4), with or without its padding. Returns false if it is invalid or too long. */
static bool decode(struct slice text, char *out, size_t room, size_t *out_len) {
	uint32_t bits = 0;
	unsigned have = 0;
	size_t len = 0;
	for (unsigned padding = 0; padding < 2 && text.len > 0 && text.data[text.len - 1] == '='; padding++)
		text.len--;
	for (size_t i = 0; i < text.len; i++) {
		int value = sextet(text.data[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (len == room)
			return false;
		out[len++] = (char)(bits >> have & 0xff);
	}
	*out_len = len;
	/* Six bits alone do not make a byte. */
	return have < 6;
}

static bool is_secret(const struct http_auth *g, struct slice text) {
	struct secret digest;
	secret_digest(text, &digest);
	bool equal = secret_equal(&digest, &g->secret);
	explicit_bzero(&digest, sizeof(digest));
	return equal;
}

/* Any user name is accepted. */
static bool is_password(const struct http_auth *g, struct slice text) {
	char credentials[CREDENTIALS_MAX];
	size_t len = 0;
	bool right = false;
	if (decode(text, credentials, sizeof(credentials), &len)) {
		const char *colon = memchr(credentials, ':', len);
		size_t name = colon != NULL ? (size_t)(colon - credentials) + 1 : len;
		right = colon != NULL && is_secret(g, (struct slice){credentials + name, len - name});
	}
	explicit_bzero(credentials, sizeof(credentials));
	return right;
}

enum http_auth_verdict http_auth_check(const struct http_auth *g, const char *authorization) {
	if (!g->set)
		return HTTP_AUTH_KNOWN;
	if (authorization == NULL)
		return HTTP_AUTH_UNKNOWN;
	size_t len = strlen(authorization);
	while (len > 0 && authorization[len - 1] == ' ')
		len--;
	const char *end = authorization + len;
	const char *token = behind_scheme(authorization, "Bearer");
	const char *basic = behind_scheme(authorization, "Basic");
	bool right = false;
	if (token != NULL && token < end)
		right = is_secret(g, (struct slice){token, (size_t)(end - token)});
	else if (basic != NULL && basic < end)
		right = is_password(g, (struct slice){basic, (size_t)(end - basic)});
	return right ? HTTP_AUTH_KNOWN : HTTP_AUTH_WRONG;
}

void http_auth_report(struct http_auth *g, const char *client) {
	const struct log_event event = {.id = LOG_EVENT_AUTH_FAILED, .client = client, .detail = "over HTTP"};
	counter_add(&g->failures, 1);
	log_report(g->events, &event);
}
