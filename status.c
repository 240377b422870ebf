/*
 * status: how the relay is, as a page, as metrics, as a file for node_exporter.
 *
 * Without an option it answers one HTTP request on standard input and output: a connection that
 * systemd accepted (units/postern-status.socket), on loopback or a UNIX socket. It looks at
 * counters and queue first, makes the answers, and locks itself in, with no file in sight, before
 * it reads a word of the client. So what a request could take over has these numbers and the
 * connection, and nothing else. One request, a bounded head, a few seconds in all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "process/program.h"
#include "process/stdfds.h"
#include "status/figures.h"
#include "status/http.h"
#include "status/metrics.h"
#include "status/page.h"

enum {
	ANSWER_MAX = 1 << 20, /* octets of a page; the longest has a tenth of it */
	ANSWER_TIME = 10,     /* s, from the first octet read to the last one written */
	ARGUMENTS_MAX = 256,
};

static const char usage[] =
	"usage: postern-status [-c FILE] [-o KEY=VALUE]...\n"
	"                               answer one HTTP request on standard input and output\n"
	"         ... --page            print the page\n"
	"         ... --metrics         print the metrics, as text\n"
	"         ... --sample          remember this minute, for the chart of the day\n"
	"         ... --textfile DIR    write DIR/postern.prom, for node_exporter\n";

/* What is asked for besides the options of all programs. */
struct wishes {
	bool page, metrics, sample;
	const char *textfile;
	const char *wrong;
	int n;
	char *rest[ARGUMENTS_MAX + 1]; /* the arguments that are left */
};

/* Both documents, made before anybody is heard. */
struct answers {
	struct buf page, open, text;
};

static void
parse(struct wishes *w, int argc, char **argv)
{
	for (int i = 0; i < argc && w->n < ARGUMENTS_MAX; i++) {
		if (strcmp(argv[i], "--page") == 0)
			w->page = true;
		else if (strcmp(argv[i], "--metrics") == 0)
			w->metrics = true;
		else if (strcmp(argv[i], "--sample") == 0)
			w->sample = true;
		else if (strcmp(argv[i], "--textfile") == 0 && i + 1 < argc)
			w->textfile = argv[++i];
		else if (strcmp(argv[i], "--textfile") == 0)
			w->wrong = "--textfile needs a directory; see --help";
		else
			w->rest[w->n++] = argv[i];
		if (strcmp(argv[i], "--help") == 0) {
			stdfds_fill();
			stdfds_lose_output();
			(void)fputs(usage, stdout);
			exit(file_flush(stdout) == 0 ? EXIT_SUCCESS : EX_IOERR);
		}
	}
}

static int
print(const struct buf *b)
{
	bool whole = b->err == 0 && fwrite(b->p, 1, b->n, stdout) == b->n && fflush(stdout) == 0;
	return whole ? EXIT_SUCCESS : EX_IOERR;
}

/* A minute that cannot be remembered is a gap in a chart; the line says why. */
static int
remember(const struct figures *f, const char *runtime)
{
	struct sample sample = figures_sample(f);
	struct log_fields event = { .event = "counters" };
	int err = f->counted ? samples_note(runtime, &sample) : 0;
	if (err < 0)
		log_event(LOG_WARNING, &event, "runtime %s: cannot remember a sample: %s", runtime,
			strerror(-err));
	return err < 0 ? EX_CANTCREAT : EXIT_SUCCESS;
}

/* In one step, so that no half of it is read. It is for somebody else to read. 0 or -errno. */
static int
write_file(const char *directory, const struct buf *b)
{
	static const char new[] = ".postern.prom.new", name[] = "postern.prom";
	auto_fd dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	(void)unlinkat(dir, new, 0); /* of one that died, or a link of somebody else */
	auto_fd fd =
		openat(dir, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR);
	if (fd < 0)
		return -errno;
	errno = EIO;
	bool written = b->err == 0 && write(fd, b->p, b->n) == (ssize_t)b->n &&
		       fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) == 0 &&
		       renameat(dir, new, dir, name) == 0;
	int err = written ? 0 : -errno;
	if (!written)
		(void)unlinkat(dir, new, 0);
	return err;
}

static int
write_textfile(const char *directory, const struct buf *b)
{
	struct log_fields event = { .event = "counters" };
	int err = write_file(directory, b);
	if (err < 0)
		log_event(LOG_WARNING, &event, "%s/postern.prom: %s", directory, strerror(-err));
	return err < 0 ? EX_CANTCREAT : EXIT_SUCCESS;
}

/* ---- one request -------------------------------------------------------------------------- */

static void
put(struct stream *s, struct span bytes, int64_t deadline)
{
	stream_put(s, bytes, deadline);
}

/* Where there is no document it is a line. */
static void
answer(struct stream *s, int status, const struct http_request *r, const char *type,
	const struct buf *body, int64_t deadline)
{
	auto_buf head = buf_new(HTTP_HEAD), line = buf_new(HTTP_LINE);
	buf_printf(&line, "%d %s\n", status, http_reason(status));
	if (body == NULL)
		body = &line;
	buf_printf(&head,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
		"close\r\n%s"
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		"Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; "
		"style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
		"form-action 'none'\r\n\r\n",
		status, http_reason(status), type, body->n,
		status == 405 ? "Allow: GET, HEAD\r\n" : "");
	put(s, buf_span(&head), deadline);
	if (!r->head)
		put(s, buf_span(body), deadline);
}

static void
serve(const struct answers *a, const char *hostname)
{
	static struct stream s;
	struct http_request r;
	const char *type = "text/plain; charset=utf-8";
	const struct buf *body = NULL;
	int64_t deadline = clock_deadline(ANSWER_TIME);
	stream_init(&s, STDIN_FILENO, STDOUT_FILENO, true, NULL);
	int status = http_read(&s, hostname, deadline, &r);
	if (status == 0)
		return;
	if (status == 200 && strcmp(r.path, "/") == 0) {
		type = "text/html; charset=utf-8";
		body = &a->page;
	} else if (status == 200 && strcmp(r.path, "/metrics") == 0) {
		type = r.open_metrics ? METRICS_OPEN_TYPE : METRICS_TEXT_TYPE;
		body = r.open_metrics ? &a->open : &a->text;
	} else if (status == 200) {
		status = 404;
	}
	if (body != NULL && body->err != 0) {
		status = 500;
		body = NULL;
	}
	answer(&s, status, &r, type, body, deadline);
	if (stream_flush(&s, deadline) == STREAM_OK)
		stream_linger(&s, HTTP_LINGER, deadline);
}

/* ---- start -------------------------------------------------------------------------------- */

static struct answers
make_answers(const struct figures *f)
{
	struct answers a = { buf_new(ANSWER_MAX), buf_new(ANSWER_MAX), buf_new(ANSWER_MAX) };
	page_write(&a.page, f);
	metrics_write(&a.open, f, METRICS_OPEN);
	metrics_write(&a.text, f, METRICS_TEXT);
	return a;
}

static int
do_wishes(const struct wishes *w, const struct figures *f, const struct answers *a,
	const char *runtime)
{
	stdfds_lose_output();
	int status = w->sample ? remember(f, runtime) : EXIT_SUCCESS;
	if (status == EXIT_SUCCESS && w->textfile != NULL)
		status = write_textfile(w->textfile, &a->text);
	if (status == EXIT_SUCCESS && (w->page || w->metrics))
		status = print(w->page ? &a->page : &a->text);
	return status;
}

int
main(int argc, char **argv)
{
	static struct conf conf;
	static struct figures f;
	static struct wishes w;
	struct options o;
	struct log_fields event = { .event = "sandbox" };
	auto_buf why = buf_new(LIMIT_COMMAND);

	parse(&w, argc, argv);
	if (!program_begin(&o, w.n, w.rest))
		return EX_USAGE;
	o.counters = true; /* doubts about the configuration are not to be heard each minute */
	int err = program_configure(&conf, NULL, &o, w.wrong, "postern-status", &why);
	if (err == 0)
		err = program_drop_root(&conf, NULL, &o, &why);
	if (err < 0)
		return program_refuse(&why);
	figures_take(&f, &conf);
	struct answers a = make_answers(&f);
	if (w.page || w.metrics || w.sample || w.textfile != NULL)
		return do_wishes(&w, &f, &a, conf.who.runtime);
	if (!program_lock_in(SANDBOX_HELPER, NULL, -1, &event))
		return EX_TEMPFAIL;
	serve(&a, f.hostname);
	program_end(EXIT_SUCCESS);
}
