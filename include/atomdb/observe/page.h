/* The live page: one HTML file, assembled from its parts in src/observe/page/, and a policy that lets browsers run only
 * its own code. */
#pragma once

#include "atomdb/util/slice.h"

struct page;

/* Makes the page. Returns 0 or -ENOMEM. */
int page_new(struct page **out);
void page_free(struct page *p);
struct slice page_html(const struct page *p);
/* Returns the value of its Content-Security-Policy. */
const char *page_policy(const struct page *p);
