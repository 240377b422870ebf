#define OPENSSL_BY_ITSELF
#include "sending/openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include "lib/library.h"

enum { TEXT = 256 };

struct openssl openssl;
static char trouble[TEXT]; /* what went wrong first; empty: nothing */

/* A copy: the next call of this kind frees what dlerror said. */
static void
note_trouble(void)
{
	const char *why = dlerror();
	if (trouble[0] == '\0')
		snprintf(trouble, sizeof(trouble), "%s", why != NULL ? why : "unknown error");
}

static void
load(void)
{
	/* Functions of libcrypto are found there too. */
	void *so = library_load("libssl.so.3");
	if (so == NULL) {
		note_trouble();
		return;
	}
#define FIND(name) \
	if (!library_find(so, #name, &openssl.name)) \
		note_trouble();
	OPENSSL_FUNCTIONS(FIND)
#undef FIND
	(void)mprotect(&openssl, sizeof(openssl), PROT_READ); /* not where pages are larger */
}

const char *
openssl_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, load);
	return trouble[0] != '\0' ? trouble : NULL;
}
