/* Puts the full parts of an arena on huge pages of the kernel. */
#pragma once

#include "store/arena/arena.h"

/* Collapses a few more full ranges of 2 MiB. One thread may call it at any time, and it need not be the owner. */
void arena_collapse(struct arena *a);
