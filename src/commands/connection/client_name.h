/* Names that clients give themselves. */
#pragma once

#include "atomdb/session/session.h"

/* Bytes of the longest name. */
#define CLIENT_TEXT_MAX 128

/* Sets `*field`, an owned string, to a copy of `text`; to NULL if that is empty. 0 or -ENOMEM. */
int client_text_set(char **field, struct slice text);
/* Sets the session's name. False: the name is not allowed, and the error was replied. */
bool client_set_name(struct session *s, struct slice name);
