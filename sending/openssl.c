#define OPENSSL_BY_ITSELF
#include "sending/openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

/* ISO C knows no way from the one kind of pointer to the other. */
static void
find(void *so, const char *name, void *place)
{
	void *function = dlsym(so, name);
	if (function == NULL)
		note_trouble();
	memcpy(place, &function, sizeof(function));
}

static void
load(void)
{
	/* Functions of libcrypto are found there too. */
	void *so = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
	if (so == NULL) {
		note_trouble();
		return;
	}
#define FIND(name) find(so, #name, &openssl.name);
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
