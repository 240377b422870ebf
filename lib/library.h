/*
 * library: functions of a shared library that is loaded when it is needed, not when a program
 * starts. A header alone: in a static program, as smtpd is, there is no dlopen.
 */
#ifndef POSTERN_LIBRARY_H
#define POSTERN_LIBRARY_H

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

/* Stays loaded. NULL: it is not there, or cannot be used; dlerror() says why. */
static inline void *
library_load(const char *file)
{
	return dlopen(file, RTLD_NOW | RTLD_LOCAL);
}

/*
 * Puts the address of what bears the name into *place, a pointer of any kind. False, and NULL
 * there: the library has no such thing; dlerror() says so.
 */
static inline bool
library_find(void *library, const char *name, void *place)
{
	void *found = dlsym(library, name);
	memcpy(place, &found, sizeof(found)); /* ISO C knows no other way to a function */
	return found != NULL;
}

#endif
