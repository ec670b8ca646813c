/* The page is complete, and its policy matches it. */
#include "atomdb/observe/page.h"
#include "harness.h"

static void test_page(void **state) {
	struct page *p = NULL;
	(void)state;
	assert_int_equal(page_new(&p), 0);
	struct slice html = page_html(p);
	assert_non_null(memmem(html.data, html.len, "<style>:root", 12));
	assert_non_null(memmem(html.data, html.len, "<script>\"use strict\"", 20));
	assert_memory_equal(html.data + html.len - 8, "</html>\n", 8);
	/* No mark is left, and no part ends them early or names another host. */
	static const char *const once[] = {"</style", "</script"};
	for (size_t i = 0; i < 2; i++) {
		const char *at = memmem(html.data, html.len, once[i], strlen(once[i]));
		assert_non_null(at);
		size_t rest = html.len - (size_t)(at + 1 - html.data);
		assert_null(memmem(at + 1, rest, once[i], strlen(once[i])));
	}
	assert_null(memmem(html.data, html.len, "@STYLE@", 7));
	assert_null(memmem(html.data, html.len, "@SCRIPT@", 8));
	assert_null(memmem(html.data, html.len, "innerHTML", 9));
	assert_non_null(strstr(page_policy(p), "default-src 'none'; style-src 'sha256-"));
	assert_non_null(strstr(page_policy(p), "frame-ancestors 'none'"));
	assert_null(strstr(page_policy(p), "unsafe"));
	page_free(p);
	page_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_page)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
