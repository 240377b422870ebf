#include "process/seal.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#ifdef __GLIBC__
int
seal_relocated(void)
{
	return 0; /* it did */
}
#else
/* Where this program begins; the linker knows. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

int
seal_relocated(void)
{
	uintptr_t page = getauxval(AT_PAGESZ), self = (uintptr_t)&__ehdr_start;
	const ElfW(Phdr) *h = (const void *)(self + __ehdr_start.e_phoff);
	for (int i = 0; i < __ehdr_start.e_phnum; i++) {
		uintptr_t begin = self + h[i].p_vaddr, end = begin + h[i].p_memsz;
		begin -= begin % page;
		if (h[i].p_type == PT_GNU_RELRO &&
			mprotect((void *)begin, (end - begin) / page * page, PROT_READ) < 0)
			return -errno;
	}
	return 0;
}
#endif
