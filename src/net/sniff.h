/* Tells HTTP from RESP by the first line of a connection: a browser page must not be able to send commands. */
#pragma once

#include "atomdb/util/slice.h"

enum sniff { SNIFF_MORE, SNIFF_HTTP, SNIFF_OTHER };

/* Looks at the first bytes of a connection. SNIFF_MORE while the first line is not complete; `*line` is set to the line
 * (without its end) for SNIFF_HTTP. "GET key" is an inline command, "GET / HTTP/1.1" is not. Pure. */
enum sniff sniff_first_line(struct slice bytes, struct slice *line);
