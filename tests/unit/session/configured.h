/* configured: a configuration from a text, for tests of the session. */
#ifndef POSTERN_CONFIGURED_H
#define POSTERN_CONFIGURED_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include "conf/conf.h"

/* Replaces *c, which is zeroed or came from here. This host is mx.test.example. */
static inline void
configure(struct conf *c, const char *text)
{
	static const char *const options[] = { "hostname=mx.test.example", "relay_path=/r",
		"tls_path=/t", "auth_path=/a" };
	char path[32];
	struct buf why = buf_new(1024);
	int fd = memfd_create("conf", MFD_CLOEXEC);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf_free(c);
	*c = (struct conf){ 0 };
	struct conf_args args = { .file = path, .options = options, .n = ROWS(options) };
	int r = conf_load(c, &args, NULL, &why);
	close(fd);
	if (r != 0)
		fail_msg("%.*s", (int)why.n, why.p);
}

#endif
