/* The stop of the daemon. */
#pragma once

struct daemon;

/* Asks the workers to finish. The loop, with /health, continues until they have. */
void stop_begin(struct daemon *d);
