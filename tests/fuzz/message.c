/*
 * A file of the queue and its log (K14). The input is the file, then a line "=log", then the log.
 * Read as it is; then with a good last line, which a fuzzer does not guess.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc.h"
#include "queue/message.h"

#define ID  "0123456789abcdefghjk"
#define LOG "\n=log\n"

static struct lane lane = { .name = "d.example", .dir = -1, .lock = -1 };

static void
spill(const char *name, struct span s)
{
	int fd = openat(lane.dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, s.p, s.n) == (ssize_t)s.n);
	close(fd);
}

/* The sum of the file as if nobody in it was settled (stored.h). */
static uint32_t
sum_as_committed(struct span file)
{
	static const char name[] = "\nStates: ";
	const char *end = file.p + file.n, waiting = STATE_WAITING;
	const char *blank = file.n > 0 ? memmem(file.p, file.n, "\n\n", 2) : NULL;
	struct span head = span_from(file.p, blank != NULL ? blank : file.p);
	const char *p = head.n > 0 ? memmem(head.p, head.n, name, strlen(name)) : NULL;
	if (p == NULL)
		return crc32c(0, file.p, file.n);
	p += strlen(name);
	uint32_t crc = crc32c(0, file.p, (size_t)(p - file.p));
	for (; *p != '\n'; p++)
		crc = crc32c(crc, &waiting, 1);
	return crc32c(crc, p, (size_t)(end - p));
}

/* Marks who waits, as a relay does, and finds that again. */
static void
mark_all(struct message *m)
{
	if (m->states.p == NULL)
		return;
	must(message_try_mark(m, false) == 0);
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled)
			m->rcpt[i].outcome = i % 2 == 0 ? DONE : HARD;
	must(message_mark(m, &lane) == 0);
	struct message again;
	must(message_open(&again, &lane, ID) == 0 && !message_waits(&again));
	for (int i = 0; i < m->n; i++)
		must(again.rcpt[i].outcome == m->rcpt[i].outcome);
	message_close(&again);
}

static void
read_back(struct span head_and_body)
{
	struct message m;
	if (message_glance(&m, &lane, ID) == 0)
		message_close(&m);
	int r = message_open(&m, &lane, ID);
	if (r < 0) {
		must(r == -EBADMSG && m.fd == -1 && m.rcpt == NULL);
		return;
	}
	must(m.n > 0 && m.arrived >= 0 && m.env.sender.p != NULL);
	must(m.body + (int64_t)m.length + MESSAGE_END_SIZE ==
		(int64_t)head_and_body.n + MESSAGE_END_SIZE);
	for (int i = 0; i < m.n; i++) {
		must(i == 0 || m.rcpt[i].index > m.rcpt[i - 1].index);
		must(memchr(m.rcpt[i].address.p, '\n', m.rcpt[i].address.n) == NULL); /* D26 */
		must(m.rcpt[i].settled == (m.rcpt[i].outcome != SOFT));
	}
	struct message g;
	if (message_glance(&g, &lane, ID) == 0) { /* sees the same, as far as it goes */
		must(g.env.by == m.env.by && g.env.hold == m.env.hold);
		must(g.told == m.told);
		message_close(&g);
	}
	char chunk[7];
	uint64_t at = 0;
	for (ssize_t n; (n = message_read(&m, at, chunk, sizeof(chunk))) > 0; at += (uint64_t)n)
		must(memcmp(chunk, head_and_body.p + m.body + at, (size_t)n) == 0);
	must(at == m.length);
	mark_all(&m);
	message_close(&m);
}

static char path[] = "/dev/shm/postern-fuzz-XXXXXX";

static void
remove_lane(void)
{
	unlinkat(lane.dir, ID, 0);
	unlinkat(lane.dir, ID ".log", 0);
	rmdir(path);
}

static void
make_lane(void)
{
	must(mkdtemp(path) != NULL);
	lane.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(lane.dir >= 0 && atexit(remove_lane) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span file = { (const char *)data, size }, log = { "", 0 };
	const char *mark = size > 0 ? memmem(data, size, LOG, strlen(LOG)) : NULL;
	if (mark != NULL) {
		log = span_skip(file, (size_t)(mark - file.p) + strlen(LOG));
		file.n = (size_t)(mark - file.p) + 1;
	}
	if (lane.dir < 0)
		make_lane();
	spill(ID ".log", log);
	spill(ID, file);
	read_back((struct span){ file.p, file.n > MESSAGE_END_SIZE ? file.n - MESSAGE_END_SIZE : 0 });

	char end[MESSAGE_END_SIZE + 1];
	const char *blank = file.n > 0 ? memmem(file.p, file.n, "\n\n", 2) : NULL;
	uint64_t length = blank != NULL ? file.n - (size_t)(blank + 2 - file.p) : 0;
	message_end(end, length, sum_as_committed(file), ID);
	int fd = openat(lane.dir, ID, O_WRONLY | O_APPEND | O_CLOEXEC);
	must(fd >= 0 && write(fd, end, MESSAGE_END_SIZE) == MESSAGE_END_SIZE);
	close(fd);
	read_back(file);
	return 0;
}
