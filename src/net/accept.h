/* New clients of a worker. */
#pragma once

#include <stdbool.h>

#include "atomdb/net/accept.h"

struct listener;
struct tenant;
struct worker;

/* Adds the listeners to the epoll set, or removes them, which cannot fail. Returns 0 or -errno. */
int accept_listen(struct worker *w, bool on);
/* Returns whether the tenant may have one more client. If not, counts the client as rejected. */
bool accept_has_place(struct worker *w, const struct tenant *t);
/* Accepts a few connections of a listener. */
void accept_ready(struct worker *w, const struct listener *l);
/* Serves an accepted connection, or rejects it if all places are taken. Takes over `fd`. */
void accept_admit(struct worker *w, const struct listener *l, int fd);
