/* Handles the messages of a worker's inbox. */
#pragma once

#include "atomdb/net/messages.h"

struct message;
struct worker;

/* Takes and handles the messages of the inbox. */
void worker_read_inbox(struct worker *w);
/* Handles and frees one. */
void worker_handle_message(struct worker *w, struct message *m);
/* Serves and frees a MESSAGE_ACCEPTED. */
void worker_take_accepted(struct worker *w, struct message *m);
/* Frees the messages that nothing will take. */
void worker_discard_inbox(struct worker *w);
