/*
 * load COUNT CLIENTS PORT [message]: COUNT connections to 127.0.0.1, CLIENTS at a time. Each reads
 * until the server closes it; with "message" it sends one first, as soon as it is greeted, and hears
 * that it was taken. Prints connections per second. It is small, for it runs beside what is measured.
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

/* Reads until this was said. */
static void
hear(int fd, const char *what)
{
	char heard[4096];
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

static void
connection(const struct sockaddr_in *to, int message)
{
	char rest[4096];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		exit(4);
	hear(fd, "220 ");
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
	struct timespec a, b;
	if (argc < 4)
		return 64;
	int count = atoi(argv[1]), clients = atoi(argv[2]), wrong = 0, status;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < clients; i++)
		if (fork() == 0) {
			for (int k = i; k < count; k += clients)
				connection(&to, argc > 4);
			exit(0);
		}
	while (wait(&status) > 0)
		wrong |= status;
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.1f\n", count / ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9));
	return wrong != 0;
}
