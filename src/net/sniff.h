/* Recognizes HTTP and TLS on the port for RESP, so that a web page cannot send commands. */
#pragma once

#include <stdbool.h>

#include "atomdb/util/slice.h"

enum sniff {
	SNIFF_MORE,  /* the first line is not complete */
	SNIFF_OTHER, /* RESP, or an inline command */
	SNIFF_HTTP,
	SNIFF_TLS,
};

/* Classifies the first bytes of a connection, behind blank lines. Sets `*line` to the line, without its end, for
 * SNIFF_HTTP. "GET key" is an inline command, "GET / HTTP/1.1" is not. A line longer than the limit of inline commands
 * is HTTP if it begins with a method and a target. Pure. */
enum sniff sniff_first_line(struct slice bytes, struct slice *line);
/* The same for a line that is not a command, at any position. */
bool sniff_begins_like_http(struct slice bytes);
