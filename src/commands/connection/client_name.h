/* Names that clients set for themselves. */
#pragma once

#include "atomdb/session/session.h"

/* Maximum length of a name in bytes. */
#define CLIENT_TEXT_MAX 128

/* Sets `*field`, an owned string, to a copy of `text`, or to NULL if it is empty. Returns 0 or -ENOMEM. */
int client_text_set(char **field, struct slice text);
/* Sets the session's name. Returns false if the name is not allowed, and an error was replied. */
bool client_set_name(struct session *s, struct slice name);
