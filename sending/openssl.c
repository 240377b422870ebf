#define OPENSSL_BY_ITSELF
#include "sending/openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

struct openssl openssl;
static const char *trouble;

/* ISO C knows no way from the one kind of pointer to the other. */
static void
find(void *so, const char *name, void *place)
{
	void *function = dlsym(so, name);
	if (function == NULL)
		trouble = dlerror();
	memcpy(place, &function, sizeof(function));
}

static void
load(void)
{
	/* Functions of libcrypto are found there too. */
	void *so = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
	if (so == NULL) {
		trouble = dlerror();
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
	return trouble;
}
