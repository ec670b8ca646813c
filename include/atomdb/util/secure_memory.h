/* Memory for plaintext secrets: pages that no core dump has, and that are wiped when they are freed. */
#pragma once

#include <stddef.h>

/* Zeroed bytes, or NULL. */
void *secure_alloc(size_t size);
/* `size` as allocated; NULL is fine. */
void secure_free(void *bytes, size_t size);
