/* The stop of the daemon. */
#pragma once

struct daemon;

/* Asks the workers to finish. The loop, and with it /health, goes on until they have. */
void stop_begin(struct daemon *d);
