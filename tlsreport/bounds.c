#include "tlsreport/bounds.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"

enum { FILE_MAX = 4 * 1024 * 1024 }; /* octets: beyond it no host of others gets one */

bool
bounds_is_own(struct span host, struct span domain)
{
	return host.n >= domain.n && span_ieq(span_skip(host, host.n - domain.n), domain) &&
		(host.n == domain.n || host.p[host.n - domain.n - 1] == '.');
}

/* The host of "box@host", or of "https://host:port/path". */
static struct span
host_of(const struct rua_place *to)
{
	struct span text = span_of(to->text), host;
	if (to->kind == RUA_MAIL) {
		const char *at = strrchr(to->text, '@');
		return at != NULL ? span_of(at + 1) : text;
	}
	host = text = span_skip(text, strlen("https://"));
	for (host.n = 0; host.n < text.n && strchr(":/?#", text.p[host.n]) == NULL; host.n++)
		;
	return host;
}

/* What stands in the file for it. False: it is one of the domain's own, or no host. */
static bool
is_counted(const char *domain, const struct rua_place *to, char line[static LANE_NAME_SIZE])
{
	struct span host = host_of(to);
	return !bounds_is_own(host, span_of(domain)) && lane_name_of(host, line) == 0;
}

bool
bounds_may(int day, const char *domain, const struct rua_place *to)
{
	char host[LANE_NAME_SIZE];
	struct stat st;
	size_t n = 0;
	int times = 0;
	if (!is_counted(domain, to, host))
		return true;
	auto_fd fd = openat(day, BOUNDS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true;
	if (st.st_size > FILE_MAX)
		return false;
	auto_memory char *text = file_read(fd, FILE_MAX, &n);
	struct span rest = { text, text != NULL ? n : 0 };
	while (rest.n > 0)
		times += span_eq(span_cut(&rest, '\n'), span_of(host));
	return times < BOUNDS_MOST;
}

void
bounds_note(int day, const char *domain, const struct rua_place *to)
{
	char host[LANE_NAME_SIZE], line[LANE_NAME_SIZE + 1];
	if (!is_counted(domain, to, host))
		return;
	int n = snprintf(line, sizeof(line), "%s\n", host);
	auto_fd fd = openat(day, BOUNDS_FILE,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	if (fd >= 0)
		(void)!write(fd, line, (size_t)n);
}
