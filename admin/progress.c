#include "admin/progress.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/clock.h"

enum {
	WIDTH = 30,    /* characters of the bar */
	EVERY = 100,   /* ms from one drawing to the next */
};

static volatile sig_atomic_t interrupted;

static void
interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

void
progress_watch(void)
{
	struct sigaction act = { .sa_handler = interrupt };
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
}

bool
progress_is_interrupted(void)
{
	return interrupted != 0;
}

void
progress_begin(struct progress *p, const char *what, int64_t all)
{
	*p = (struct progress){ .what = isatty(STDERR_FILENO) == 1 ? what : NULL, .all = all };
}

static void
draw(const struct progress *p)
{
	int64_t filled = p->all > 0 ? WIDTH * p->n / p->all : 0;
	fputs("\r[", stderr);
	for (int64_t i = 0; i < WIDTH; i++)
		fputc(i < filled ? '#' : ' ', stderr);
	fprintf(stderr, "] %" PRId64, p->n);
	if (p->all > 0)
		fprintf(stderr, "/%" PRId64, p->all);
	fprintf(stderr, " %s\033[K", p->what);
	fflush(stderr);
}

void
progress_show(struct progress *p, int64_t n)
{
	int64_t now = clock_ms();
	p->n = n < p->all || p->all == 0 ? n : p->all;
	if (p->what == NULL || (p->shown != 0 && now - p->shown < EVERY && p->n != p->all))
		return;
	p->shown = now;
	draw(p);
}

void
progress_clear(const struct progress *p)
{
	if (p->what != NULL && p->shown != 0)
		fputs("\r\033[K", stderr);
}

void
progress_end(struct progress *p)
{
	progress_clear(p);
	p->what = NULL;
}

void
progress_pause(int ms)
{
	(void)poll(NULL, 0, ms);
}
