/* All ways to send the secret, and all ways to send another one. */
#include "atomdb/observe/http_auth.h"
#include "harness.h"

static struct http_auth new_http_auth(const char *secret) {
	struct http_auth g = {.set = true, .everything = true};
	secret_digest(slice_of(secret), &g.secret);
	return g;
}

static void test_without_secret(void **state) {
	const struct http_auth g = {.set = false};
	(void)state;
	assert_int_equal(http_auth_check(&g, NULL), HTTP_AUTH_KNOWN);
	assert_int_equal(http_auth_check(&g, "Bearer whatever"), HTTP_AUTH_KNOWN);
}

static void test_right(void **state) {
	const struct http_auth g = new_http_auth("s3cret: x");
	static const char *const right[] = {
		"Bearer s3cret: x",       "bearer   s3cret: x  ",       "BEARER s3cret: x",
		"Basic OnMzY3JldDogeA==", "Basic YWxpY2U6czNjcmV0OiB4", "basic OnMzY3JldDogeA",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		assert_int_equal(http_auth_check(&g, right[i]), HTTP_AUTH_KNOWN);
}

static void test_wrong(void **state) {
	const struct http_auth g = new_http_auth("s3cret: x");
	static const char *const wrong[] = {
		"",
		" ",
		"Bearer",
		"Bearer ",
		"Bearer s3cret:",
		"Bearer s3cret: xx",
		"Bearers3cret: x",
		"Token s3cret: x",
		"s3cret: x",
		"Basic",
		"Basic  ",
		"Basic s3cret: x",
		"Basic czNjcmV0OiB4",      /* without a user name: the secret ends at its colon */
		"Basic OnMzY3JldDogeA===", /* one = too many */
		"Basic OnMzY3JldDogeAA",   /* a byte more */
		"Basic OnMzY3JldDogeA==A",
		"Basic A",
		"Basic ====",
		"Basic \xff\xff\xff\xff",
	};
	(void)state;
	assert_int_equal(http_auth_check(&g, NULL), HTTP_AUTH_UNKNOWN);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(http_auth_check(&g, wrong[i]), HTTP_AUTH_WRONG);
}

static void test_too_long(void **state) {
	const struct http_auth g = new_http_auth("x");
	static char header[1 << 16];
	(void)state;
	memset(header, 'A', sizeof(header) - 1);
	memcpy(header, "Basic ", 6);
	assert_int_equal(http_auth_check(&g, header), HTTP_AUTH_WRONG);
	memcpy(header, "Bearer ", 7);
	assert_int_equal(http_auth_check(&g, header), HTTP_AUTH_WRONG);
}

static const struct log_event *seen;
static void note(void *context, const struct log_event *event) {
	static struct log_event copy;
	(void)context;
	copy = *event;
	seen = &copy;
}

static void test_report(void **state) {
	const struct log_sink sink = {.report = note};
	struct http_auth g = new_http_auth("x");
	(void)state;
	g.events = &sink;
	http_auth_report(&g, "127.0.0.1:5");
	assert_int_equal(counter_get(&g.failures), 1);
	assert_non_null(seen);
	assert_int_equal(seen->id, LOG_EVENT_AUTH_FAILED);
	assert_string_equal(seen->client, "127.0.0.1:5");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_secret), cmocka_unit_test(test_right),  cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_too_long),       cmocka_unit_test(test_report),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
