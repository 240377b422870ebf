/* banned: functions with which mail servers have been broken into; included by every compile. */
#ifndef POSTERN_BANNED_H
#define POSTERN_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf /* macros where the headers fortify */
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol gmtime localtime
#pragma GCC poison system popen gets

#endif
