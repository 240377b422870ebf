/* loaded: a configuration that is loaded from a file of the test, and what is printed of it. */
#ifndef POSTERN_TEST_LOADED_H
#define POSTERN_TEST_LOADED_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"

static char path[] = "/tmp/postern-conf-XXXXXX";

static struct conf_origins from; /* of what was loaded last */

static const char *const lines_that_complete[] = { "hostname=h.example", "relay_path=/r" };

/* Loads `file` (written to `path` first; NULL: no -c) with one more option, or NULL. */
static inline int
load_for(struct conf *c, struct span file, const char *option, const char *profile, struct buf *why)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file.p, file.n), file.n);
	close(fd);
	const char *options[] = { lines_that_complete[0], lines_that_complete[1], option };
	struct conf_args args = { .file = path, .options = options, .n = option != NULL ? 3 : 2,
		.profile = profile };
	*c = (struct conf){ 0 };
	buf_reset(why);
	return conf_load(c, &args, &from, why);
}

static inline int
load(struct conf *c, struct span file, const char *option, struct buf *why)
{
	return load_for(c, file, option, NULL, why);
}

/* What conf_print says about `key`, value and origin. */
static inline const char *
printed(const struct conf *c, const char *key)
{
	static char line[2048];
	char *text = NULL, *save = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	assert_non_null(f);
	conf_print(c, &from, f);
	fclose(f);
	line[0] = '\0';
	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, key, strlen(key)) == 0 && strncmp(l + strlen(key), " = ", 3) == 0)
			snprintf(line, sizeof(line), "%s", l + strlen(key) + 3);
	free(text);
	return line;
}

/* Of a group of tests, which call load. */
static inline int
make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static inline int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

#endif
