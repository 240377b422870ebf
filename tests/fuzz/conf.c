/* A configuration file: it is taken and can be printed, or one printable line says why not. */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"

static void
print(const struct conf *c, const struct conf_origins *from)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	must(f != NULL);
	conf_print(c, from, f);
	fclose(f);
	for (size_t i = 0; i < n; i++)
		must((unsigned char)text[i] >= ' ' || text[i] == '\n' || text[i] == '\t');
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[32];
	static const char *const options[] = { "relay_path=/x" };
	if (fd < 0) {
		fd = memfd_create("conf", MFD_CLOEXEC);
		must(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	struct conf c = { 0 };
	struct conf_origins from;
	struct conf_args args = { .file = path, .options = options, .n = 1, .profile = "lan" };
	struct buf why = buf_new(10000);
	int r = conf_load(&c, &args, &from, &why);
	must(r == 0 || r == -EINVAL);
	must(why.err == 0 && (why.n > 0) == (r < 0));
	for (size_t i = 0; i < why.n; i++)
		must(why.p[i] >= ' ' && why.p[i] <= '~'); /* E5 */
	if (r == 0)
		print(&c, &from);
	conf_free(&c);
	buf_free(&why);
	return 0;
}
