/* Keeps the secrets of a configuration from libconfig. */
#pragma once

#include <libconfig.h>
#include <stddef.h>

#include "atomdb/store/secret.h"

struct buffer;
struct config_reader;

/* Appends the text and a NUL to `out`, with marks in place of the secrets' strings. config_parse has checked the text:
 * nothing nests deeper than CONFIG_DEPTH_MAX. Returns 0 or -ENOMEM. */
int config_mark_secrets(const char *text, size_t len, struct buffer *out);
/* Writes at most `room` bytes of the secret that a setting's string marks, or is. Returns its length. */
size_t config_find_secret(const struct config_reader *r, const char *text, char *out, size_t room);
/* Reads a secret from the file that the setting names, and sets `*out` to its digest. Returns 0, ATOMDB_E_SYNTAX or
 * -ENOMEM. */
int config_read_secret_file(struct config_reader *r, const config_setting_t *setting, struct secret *out);
