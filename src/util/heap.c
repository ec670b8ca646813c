#include "atomdb/util/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A multiple of the page size of any machine. */
#define PAGE ((size_t)64 << 10)
/* Bytes for one madvise() call: some tens of microseconds. */
#define PIECE ((size_t)512 << 10)

/* A freed block that is kept, at its first byte. */
struct kept {
	struct kept *next;
	size_t size; /* of the mapping */
	size_t left; /* bytes at the beginning that are not given back */
};

static _Thread_local struct kept *first;
static _Thread_local size_t kept_bytes;
static _Thread_local bool keeps;

void heap_init(void) {
#ifdef __GLIBC__
	/* By default, glibc merges all freed blocks of some small sizes with their neighbours at once. */
	(void)mallopt(M_MXFAST, 0);
#endif
}

static size_t mapped(size_t size) {
	return (size + PAGE - 1) & ~(PAGE - 1);
}

void *heap_zeros(size_t size) {
	if (size < HEAP_LARGE)
		return calloc(1, size);
	void *block = mmap(NULL, mapped(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return block == MAP_FAILED ? NULL : block;
}

void *heap_resize(void *block, size_t from, size_t to) {
	if (from < HEAP_LARGE && to < HEAP_LARGE)
		return realloc(block, to);
	if (from >= HEAP_LARGE && to >= HEAP_LARGE) {
		void *moved = mremap(block, mapped(from), mapped(to), MREMAP_MAYMOVE);
		return moved == MAP_FAILED ? NULL : moved;
	}
	void *fresh = heap_zeros(to);
	if (fresh != NULL && block != NULL) {
		memcpy(fresh, block, from < to ? from : to);
		heap_free(block, from);
	}
	return fresh;
}

size_t heap_drop_front(void *block, size_t size, size_t n) {
	n &= ~(PAGE - 1);
	if (n == 0 || n > size || size - n < HEAP_LARGE)
		return 0;
	return munmap(block, n) == 0 ? n : 0;
}

void heap_free(void *block, size_t size) {
	if (block == NULL || size < HEAP_LARGE) {
		free(block);
	} else if (!keeps) {
		(void)munmap(block, mapped(size));
	} else {
		struct kept *k = block;
		*k = (struct kept){first, mapped(size), mapped(size)};
		first = k;
		kept_bytes += k->left;
	}
}

void heap_keep(bool keep) {
	if (!keep)
		(void)heap_reclaim(SIZE_MAX);
	keeps = keep;
}

bool heap_reclaim(size_t most) {
	for (size_t done = 0; first != NULL && done < most; done += PIECE) {
		struct kept *k = first;
		if (k->left > PIECE) {
			k->left -= PIECE;
			kept_bytes -= PIECE;
			(void)madvise((char *)k + k->left, PIECE, MADV_DONTNEED);
		} else {
			first = k->next;
			kept_bytes -= k->left;
			(void)munmap(k, k->size);
		}
	}
	return first != NULL;
}

size_t heap_kept(void) {
	return kept_bytes;
}
