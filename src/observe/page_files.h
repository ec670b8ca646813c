/* The files of src/observe/page/, which CMake converts to arrays. */
#pragma once

#include <stddef.h>

extern const unsigned char page_file_html[], page_file_css[], page_file_js[];
extern const size_t page_file_html_size, page_file_css_size, page_file_js_size;
