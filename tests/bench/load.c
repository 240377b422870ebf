/*
 * load COUNT CLIENTS PORT [message | quit [RATE]]: COUNT connections to 127.0.0.1, CLIENTS at a time.
 * Each reads until the server closes it; with "message" it sends one first, as soon as it is greeted,
 * and hears that it was taken; with "quit" it says that, prints a line "begun greeted greeting", in
 * ms of the monotonic clock, and no more than RATE begin in a second. At the end a line of connections
 * per second. The first that fails ends its client, and this with 1 at the end. It is small, for it
 * runs beside what is measured.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char dialogue[] = "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"
	"RCPT TO:<u@dest.example>\r\nDATA\r\n";
static const char text[] = "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n";

static void
say(int fd, const char *what)
{
	if (write(fd, what, strlen(what)) != (ssize_t)strlen(what))
		exit(2);
}

static char heard[4096];

/* Reads until this was said. */
static void
hear(int fd, const char *what)
{
	size_t n = 0;
	for (ssize_t k; n < sizeof(heard) - 1; n += (size_t)k) {
		heard[n] = '\0';
		if (strstr(heard, what) != NULL)
			return;
		k = read(fd, heard + n, sizeof(heard) - 1 - n);
		if (k <= 0)
			break;
	}
	exit(3);
}

static double
seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Says QUIT, and tells when this began and what it was greeted with. */
static void
leave(int fd, double begun)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%.1f %.1f %.*s\n", begun * 1e3, seconds() * 1e3,
		(int)strcspn(heard, "\r\n"), heard);
	say(fd, "QUIT\r\n");
	hear(fd, "221 ");
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		exit(5);
}

static void
connection(const struct sockaddr_in *to, int message, int quit)
{
	char rest[4096];
	double begun = seconds();
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		exit(4);
	hear(fd, quit ? "\r\n" : "220 ");
	if (strncmp(heard, "220 ", 4) != 0)
		exit(3);
	if (quit)
		leave(fd, begun);
	if (message) {
		say(fd, dialogue);
		hear(fd, "\r\n354 ");
		say(fd, text);
		hear(fd, "250 2.0.0 ");
	}
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	close(fd);
}

int
main(int argc, char **argv)
{
	double begin = seconds();
	if (argc < 4)
		return 64;
	int quit = argc > 4 && strcmp(argv[4], "quit") == 0, message = argc > 4 && !quit;
	double rate = argc > 5 ? atof(argv[5]) : 0;
	int count = atoi(argv[1]), clients = atoi(argv[2]), wrong = 0, status;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (int i = 0; i < clients; i++)
		if (fork() == 0) {
			for (int k = i; k < count; k += clients) {
				for (double left; rate > 0 && (left = begin + k / rate - seconds()) > 0;)
					usleep((useconds_t)(left * 1e6));
				connection(&to, message, quit);
			}
			exit(0);
		}
	while (wait(&status) > 0)
		wrong |= status;
	printf("%.1f\n", count / (seconds() - begin));
	return wrong != 0;
}
