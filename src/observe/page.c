/* Assembles the page. Its policy has the SHA-256 digests of its style and script, so that browsers run no other code.
 */
#include "atomdb/observe/page.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomdb/store/secret.h"
#include "atomdb/util/buffer.h"
#include "observe/page_files.h"

#define DIGEST_TEXT_MAX 48 /* base64 */
#define POLICY_MAX      400

struct page {
	struct buffer html;
	char policy[POLICY_MAX];
};

#define PART(name) ((struct slice){(const char *)page_file_##name, page_file_##name##_size})

/* Writes the base64 form (RFC 4648, section 4) of the digest of the bytes. */
static void write_digest(struct slice bytes, char out[DIGEST_TEXT_MAX]) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct secret s;
	secret_digest(bytes, &s);
	size_t at = 0;
	for (size_t i = 0; i < SECRET_DIGEST; i += 3) {
		size_t have = SECRET_DIGEST - i < 3 ? SECRET_DIGEST - i : 3;
		uint32_t bits = (uint32_t)s.digest[i] << 16;
		bits |= have > 1 ? (uint32_t)s.digest[i + 1] << 8 : 0;
		bits |= have > 2 ? s.digest[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			out[at++] = k <= have ? digits[bits >> (18 - 6 * k) & 63] : '=';
	}
	out[at] = '\0';
}

static int append(struct buffer *out, struct slice part) {
	return buffer_append(out, part.data, part.len, SIZE_MAX);
}

/* Appends `html` with the other parts in place of their marks, which it contains in this order. */
static int assemble(struct buffer *out, struct slice html, struct slice style, struct slice script) {
	static const char style_mark[] = "@STYLE@", script_mark[] = "@SCRIPT@";
	const char *end = html.data + html.len;
	const char *at_style = memmem(html.data, html.len, style_mark, sizeof(style_mark) - 1);
	const char *behind = at_style + sizeof(style_mark) - 1;
	const char *at_script = memmem(behind, (size_t)(end - behind), script_mark, sizeof(script_mark) - 1);
	const char *rest = at_script + sizeof(script_mark) - 1;
	int error = append(out, (struct slice){html.data, (size_t)(at_style - html.data)});
	if (error == 0)
		error = append(out, style);
	if (error == 0)
		error = append(out, (struct slice){behind, (size_t)(at_script - behind)});
	if (error == 0)
		error = append(out, script);
	return error != 0 ? error : append(out, (struct slice){rest, (size_t)(end - rest)});
}

int page_new(struct page **out) {
	struct page *p = calloc(1, sizeof(*p));
	char style[DIGEST_TEXT_MAX], script[DIGEST_TEXT_MAX];
	if (p == NULL)
		return -ENOMEM;
	write_digest(PART(css), style);
	write_digest(PART(js), script);
	snprintf(
		p->policy, sizeof(p->policy),
		"default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; img-src data:; connect-src 'self'; "
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		style, script);
	int error = assemble(&p->html, PART(html), PART(css), PART(js));
	if (error != 0) {
		page_free(p);
		return error;
	}
	*out = p;
	return 0;
}

void page_free(struct page *p) {
	if (p == NULL)
		return;
	buffer_deinit(&p->html);
	free(p);
}

struct slice page_html(const struct page *p) {
	return buffer_slice(&p->html);
}

const char *page_policy(const struct page *p) {
	return p->policy;
}
