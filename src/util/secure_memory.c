#include "atomdb/util/secure_memory.h"

#include <string.h>
#include <sys/mman.h>

void *secure_alloc(size_t size) {
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return NULL;
	/* Ignore the error of a kernel that is built without core dumps. */
	(void)madvise(bytes, size, MADV_DONTDUMP);
	return bytes;
}

void secure_free(void *bytes, size_t size) {
	if (bytes == NULL)
		return;
	explicit_bzero(bytes, size);
	munmap(bytes, size);
}
