/* Memory for plaintext secrets: excluded from core dumps, and wiped when freed. */
#pragma once

#include <stddef.h>

/* Returns zeroed memory, or NULL. */
void *secure_alloc(size_t size);
/* Wipes and frees. `size` is the allocated size; `bytes` may be NULL. */
void secure_free(void *bytes, size_t size);
