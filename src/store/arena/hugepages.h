/* Lays the full parts of an arena on huge pages of the kernel. */
#pragma once

#include "store/arena/arena.h"

/* Collapses some more full stretches of 2 MiB. One thread may call it, also another than the owner, at any time. */
void arena_collapse(struct arena *a);
