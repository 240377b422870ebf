/* dir: the names in a directory. */
#ifndef POSTERN_DIR_H
#define POSTERN_DIR_H

#include <dirent.h>

/*
 * The names in a directory that is open, from the first, by a descriptor of their own: `dir` stays
 * as it is. NULL: the reason is in errno; -1 is a directory that is not there.
 */
DIR *dir_open(int dir);

/*
 * The next name; NULL at the end, and where the directory cannot be read on: then errno is not 0.
 * Who does not ask takes what cannot be read for what is not there.
 */
const char *dir_next(DIR *dir);

#endif
