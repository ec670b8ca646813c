/* The main thread's event loop and its sources. */
#pragma once

struct daemon;

/* Makes the loop. Returns 0 or a negative error, which has been logged. */
int main_loop_open(struct daemon *d);
/* Runs until the workers have stopped. Returns 0 or a negative error. */
int main_loop_run(struct daemon *d);
void main_loop_close(struct daemon *d);
