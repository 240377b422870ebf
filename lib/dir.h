/* dir: the names in a directory. */
#ifndef POSTERN_DIR_H
#define POSTERN_DIR_H

#include <dirent.h>

/*
 * The next name; NULL at the end, and where the directory cannot be read on: then errno is not 0.
 * Who does not ask takes what cannot be read for what is not there.
 */
const char *dir_next(DIR *dir);

#endif
