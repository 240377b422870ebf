#include "conf/people.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "lib/cleanup.h"
#include "mail/address.h"

enum {
	PASSWD_MAX = 4 * 1024 * 1024, /* octets: 50 000 users; what is behind has no name */
	BLOCK = 16 * 1024,
};

/* What a file holds, as far as *out takes it. */
static void
read_file(const char *path, struct buf *out)
{
	static char block[BLOCK];
	auto_fd fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	for (ssize_t n = 1; fd >= 0 && n != 0 && out->err == 0;) {
		n = read(fd, block, sizeof(block));
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			buf_add(out, (struct span){ block, (size_t)n });
	}
}

bool
people_mailname(const char *path, char out[static HOSTNAME_SIZE])
{
	char usable[HOSTNAME_SIZE];
	auto_buf text = buf_new(BLOCK);
	read_file(path, &text);
	struct span rest = span_without_mark(buf_span(&text)), name = span_trim(span_line(&rest));
	if (!address_is_domain(name) || !hostname_of(name, usable) || usable[0] == '[')
		return false; /* "localhost", or an address: nobody's domain */
	snprintf(out, HOSTNAME_SIZE, "%.*s", (int)name.n, name.p);
	return true;
}

void
people_read(struct people *p, const char *passwd, const char *mailname)
{
	*p = (struct people){ .passwd = buf_new(PASSWD_MAX) };
	read_file(passwd, &p->passwd);
	(void)people_mailname(mailname, p->mailname);
}

/* name:password:uid:... */
struct span
people_name(const struct people *p, uint32_t uid)
{
	struct span rest = buf_span(&p->passwd);
	while (rest.n > 0) {
		struct span line = span_line(&rest), name = span_cut(&line, ':');
		(void)span_cut(&line, ':');
		if (name.n > 0 && span_number(span_cut(&line, ':')) == uid)
			return name;
	}
	return (struct span){ 0 };
}

void
people_free(struct people *p)
{
	buf_free(&p->passwd);
}
