/*
 * floor SPOOL: the least that a session with one message costs whoever writes it: one process, no
 * check, no limit, no log. It says what load.c waits for, and what comes behind DATA is a file with a name
 * in a directory before it says 250: one file made, two syncs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char heard[65536];
static size_t length;

static void
say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		exit(1);
}

/* Until that stands in it. */
static void
hear(const char *text)
{
	length = 0;
	while (memmem(heard, length, text, strlen(text)) == NULL) {
		ssize_t n = read(STDIN_FILENO, heard + length, sizeof(heard) - length);
		if (n <= 0)
			exit(1);
		length += (size_t)n;
	}
}

int
main(int argc, char **argv)
{
	char name[32];
	say("220 x\r\n");
	hear("\r\nDATA\r\n");
	say("250 x\r\n250 x\r\n250 x\r\n354 x\r\n");
	hear("\r\n.\r\n");
	snprintf(name, sizeof(name), "%ld", (long)getpid());
	int dir = open(argc > 1 ? argv[1] : ".", O_RDONLY | O_DIRECTORY);
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, heard, length) != (ssize_t)length || fsync(fd) < 0 || fsync(dir) < 0)
		return 1;
	say("250 2.0.0 x\r\n221 x\r\n");
	return 0;
}
