/* Headers and compression of responses. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "observe/http_response.h"

static struct MHD_Response *respond(struct http_response r, size_t size, size_t *sent) {
	struct buffer body;
	char *text = malloc(size + 1);
	assert_non_null(text);
	for (size_t i = 0; i < size; i++)
		text[i] = i % 64 == 63 ? '\n' : 'x';
	buffer_init(&body);
	assert_int_equal(buffer_append(&body, text, size, SIZE_MAX), 0);
	free(text);
	if (r.type == NULL)
		r.type = "text/plain";
	if (r.policy == NULL)
		r.policy = HTTP_CLOSED_POLICY;
	struct MHD_Response *response = http_response_new(&r, &body);
	assert_non_null(response);
	*sent = body.len;
	return response;
}

static void every_response_has_the_headers_that_protect_a_browser(void **state) {
	size_t sent;
	(void)state;
	struct MHD_Response *r =
		respond((struct http_response){.status = 200, .type = "text/html", .policy = "p"}, 10, &sent);
	assert_string_equal(MHD_get_response_header(r, "Content-Type"), "text/html");
	assert_string_equal(MHD_get_response_header(r, "Content-Security-Policy"), "p");
	assert_string_equal(MHD_get_response_header(r, "Cache-Control"), "no-store");
	assert_string_equal(MHD_get_response_header(r, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(MHD_get_response_header(r, "Referrer-Policy"), "no-referrer");
	assert_string_equal(MHD_get_response_header(r, "Vary"), "Accept, Accept-Encoding");
	assert_null(MHD_get_response_header(r, "Content-Encoding"));
	assert_null(MHD_get_response_header(r, "Allow"));
	assert_null(MHD_get_response_header(r, "WWW-Authenticate"));
	assert_null(MHD_get_response_header(r, "Connection"));
	assert_int_equal(sent, 10);
	MHD_destroy_response(r);
}

static void refusals_say_what_is_missing(void **state) {
	size_t sent;
	(void)state;
	struct MHD_Response *r = respond((struct http_response){.status = 401}, 10, &sent);
	assert_non_null(strstr(MHD_get_response_header(r, "WWW-Authenticate"), "realm=\"AtomDB\""));
	MHD_destroy_response(r);
	r = respond((struct http_response){.status = 405, .last = true}, 10, &sent);
	assert_string_equal(MHD_get_response_header(r, "Allow"), "GET, HEAD");
	assert_string_equal(MHD_get_response_header(r, "Connection"), "close");
	MHD_destroy_response(r);
}

static void a_body_is_compressed_if_that_is_accepted_and_worth_it(void **state) {
	static const struct {
		const char *coding;
		size_t size;
		bool compressed;
	} cases[] = {
		{NULL, 100000, false},
		{"identity", 100000, false},
		{"gzip", 100000, true},
		{"gzip", 1024, true},
		{"gzip", 1023, false},
		/* The client accepts no other form. */
		{"identity;q=0, gzip", 100, true},
		/* Too large for zlib. */
		{"gzip", 1 << 20, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t sent;
		struct MHD_Response *r =
			respond((struct http_response){.status = 200, .coding = cases[i].coding}, cases[i].size, &sent);
		assert_int_equal(MHD_get_response_header(r, "Content-Encoding") != NULL, cases[i].compressed);
		if (!cases[i].compressed)
			assert_int_equal(sent, cases[i].size);
		else if (cases[i].size >= 1024)
			assert_true(sent < cases[i].size / 2);
		MHD_destroy_response(r);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_response_has_the_headers_that_protect_a_browser),
		cmocka_unit_test(refusals_say_what_is_missing),
		cmocka_unit_test(a_body_is_compressed_if_that_is_accepted_and_worth_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
