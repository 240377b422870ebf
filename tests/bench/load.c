/*
 * load COUNT CLIENTS PORT [message | tls | quit [RATE]]: COUNT connections to 127.0.0.1, CLIENTS at a time.
 * Each reads until the server closes it; with "message" it sends one first, as soon as it is greeted,
 * and hears that it was taken, with "tls" behind STARTTLS, without a ticket; with "quit" it says that, prints a line "begun greeted greeting", in
 * ms of the monotonic clock, and no more than RATE begin in a second. At the end a line of connections
 * per second. The first that fails ends its client, and this with 1 at the end. It is small, for it
 * runs beside what is measured.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char dialogue[] = "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"
	"RCPT TO:<u@dest.example>\r\nDATA\r\n";
/* The same for those that do not offer PIPELINING. */
static const char *const steps[] = { "EHLO client.example\r\n",
	"MAIL FROM:<a@client.example>\r\n", "RCPT TO:<u@d1.example>\r\n" };
static const char text[] = "Subject: x\r\n\r\nhello\r\n.\r\n";
static const char quit_too[] = "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n";

static SSL_CTX *settings; /* NULL: in clear */
static SSL *tls;

static void
say(int fd, const char *what)
{
	if (tls != NULL ? SSL_write(tls, what, (int)strlen(what)) <= 0
			: write(fd, what, strlen(what)) != (ssize_t)strlen(what))
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
		k = tls != NULL ? SSL_read(tls, heard + n, (int)(sizeof(heard) - 1 - n))
				: read(fd, heard + n, sizeof(heard) - 1 - n);
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
start_tls(int fd)
{
	say(fd, "EHLO client.example\r\n");
	hear(fd, "STARTTLS"); /* of a reply that came in one piece, as these do */
	say(fd, "STARTTLS\r\n");
	hear(fd, "220 ");
	tls = SSL_new(settings);
	if (tls == NULL || SSL_set_fd(tls, fd) != 1 || SSL_connect(tls) != 1)
		exit(6);
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
	if (settings != NULL)
		start_tls(fd);
	if (message) {
		for (size_t i = 0; tls != NULL && i < sizeof(steps) / sizeof(steps[0]); i++) {
			say(fd, steps[i]);
			hear(fd, "250 ");
		}
		say(fd, tls != NULL ? "DATA\r\n" : dialogue);
		hear(fd, tls != NULL ? "354 " : "\r\n354 ");
		say(fd, tls != NULL ? text : quit_too);
		hear(fd, "250 2.0.0 ");
		if (tls != NULL)
			say(fd, "QUIT\r\n");
	}
	while ((tls != NULL ? SSL_read(tls, rest, sizeof(rest)) : read(fd, rest, sizeof(rest))) > 0)
		;
	SSL_free(tls);
	tls = NULL;
	close(fd);
}

int
main(int argc, char **argv)
{
	double begin = seconds();
	if (argc < 4)
		return 64;
	int quit = argc > 4 && strcmp(argv[4], "quit") == 0, message = argc > 4 && !quit;
	if (argc > 4 && strcmp(argv[4], "tls") == 0)
		settings = SSL_CTX_new(TLS_client_method());
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
		if (status != 0) {
			fprintf(stderr, "load: a client ended with %d\n", WEXITSTATUS(status));
			wrong = 1;
		}
	printf("%.1f\n", count / (seconds() - begin));
	return wrong;
}
