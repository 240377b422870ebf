#include "secrets/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/id.h"

#define CURRENT  "ticket-key"
#define PREVIOUS "ticket-key.old"

/* A file of any other size or owner is not ours (K13). */
static bool
load(int dir, const char *name, struct ticket_key *key, int64_t *age)
{
	struct stat st;
	auto_fd fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
		st.st_size != (off_t)sizeof(*key))
		return false;
	*age = clock_wall() - (int64_t)st.st_mtime;
	return read(fd, key, sizeof(*key)) == (ssize_t)sizeof(*key);
}

/* Makes a key under a name of its own and then gives it the right one. */
static bool
make(int dir, struct ticket_key *key)
{
	char name[ID_SIZE];
	if (getrandom(key, sizeof(*key), 0) != (ssize_t)sizeof(*key) || id_new(name) < 0)
		return false;
	auto_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return false;
	if (write(fd, key, sizeof(*key)) == (ssize_t)sizeof(*key) &&
		renameat(dir, name, dir, CURRENT) == 0)
		return true;
	unlinkat(dir, name, 0);
	return false;
}

int
ticket_keys(const char *directory, struct ticket_key keys[static TICKET_KEYS])
{
	int64_t age = 0, old = 0;
	auto_fd dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	bool usable = load(dir, CURRENT, &keys[0], &age);
	if (!usable || age > TICKET_LIFE || age < 0) {
		if (usable)
			renameat(dir, CURRENT, dir, PREVIOUS);
		if (!make(dir, &keys[0]))
			return 0;
	}
	return load(dir, PREVIOUS, &keys[1], &old) && old <= 2 * TICKET_LIFE ? 2 : 1;
}
