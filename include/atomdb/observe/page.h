/* The live page: one HTML file, put together from its parts in src/observe/page/, with the policy that lets a browser
 * run what is in it and nothing else. */
#pragma once

#include "atomdb/util/slice.h"

struct page;

/* 0 or -ENOMEM. */
int page_new(struct page **out);
void page_free(struct page *p);
struct slice page_html(const struct page *p);
/* The value of its Content-Security-Policy. */
const char *page_policy(const struct page *p);
