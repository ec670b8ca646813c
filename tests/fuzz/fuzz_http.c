/* Parses arbitrary bytes as the HTTP headers that AtomDB reads itself: Authorization, Accept and Accept-Encoding. An
 * authorization may pass only if it contains the secret. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/observe/http_auth.h"
#include "observe/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "ab";
/* "ab" after a colon, at each of the three alignments in base64. */
static const char *const encoded[] = {"OmFi", "phY", "6YW"};

static void demand(bool condition) {
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct http_auth g = {.set = true};
	char *header = malloc(size + 1);
	demand(header != NULL);
	memcpy(header, data, size);
	header[size] = '\0';
	secret_digest(SLICE("ab"), &g.secret);
	if (http_auth_check(&g, header) == HTTP_AUTH_KNOWN) {
		bool there = strstr(header, secret) != NULL;
		for (size_t i = 0; i < sizeof(encoded) / sizeof(encoded[0]); i++)
			there |= strstr(header, encoded[i]) != NULL;
		demand(there);
	}
	static const struct media_type types[] = {{"text/plain", "0.0.4"}, {"application/openmetrics-text", "1.0.0"}};
	demand(negotiate_coding(header) == CODING_NONE || strcasestr(header, "gzip") != NULL ||
	       strchr(header, '*') != NULL);
	demand(negotiate_type(header, types, 2) == 0 || strcasestr(header, "application/") != NULL ||
	       strchr(header, '*') != NULL);
	free(header);
	return 0;
}
