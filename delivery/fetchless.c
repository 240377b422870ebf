#include "delivery/fetchless.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"

#define FILE_NAME ".fetchless"

enum {
	FILE_MAX = 128, /* octets */
	TIMES_MAX = 1000000,
};

/* ---- the file ------------------------------------------------------------------------------ */

/* "name number". -1: it is not that. */
static int64_t
take(struct span *text, const char *name)
{
	struct span word = span_word(text, " \n");
	return span_eq(word, span_of(name)) ? span_number(span_word(text, " \n")) : -1;
}

/* What is odd counts as nothing. */
static void
load(struct fetchless *f)
{
	char text[FILE_MAX];
	auto_fd fd = f->dir < 0 ? -1
		: openat(f->dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	struct span rest = { text, n > 0 ? (size_t)n : 0 };
	int64_t since = take(&rest, "since"), last = take(&rest, "last"),
		times = take(&rest, "times");
	if (since <= 0 || last < since || times <= 0 || times > TIMES_MAX)
		return;
	f->since = since;
	f->last = last;
	f->times = times;
}

static void
save(const struct fetchless *f)
{
	auto_buf text = buf_new(FILE_MAX);
	if (f->dir < 0)
		return;
	if (f->times == 0) {
		(void)unlinkat(f->dir, FILE_NAME, 0);
		return;
	}
	buf_printf(&text, "since %lld last %lld times %lld\n", (long long)f->since,
		(long long)f->last, (long long)f->times);
	auto_fd fd = openat(f->dir, FILE_NAME,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	if (fd >= 0)
		(void)!write(fd, text.p, text.n);
}

/* ---- what follows -------------------------------------------------------------------------- */

static bool
is_over(const struct fetchless *f)
{
	return f->times >= FETCHLESS_TIMES && f->last - f->since >= FETCHLESS_AFTER;
}

void
fetchless_begin(struct fetchless *f, int dir, int64_t gap)
{
	*f = (struct fetchless){ .dir = dir, .gap = gap };
	pthread_mutex_init(&f->lock, NULL);
	load(f);
}

bool
fetchless_is(struct fetchless *f)
{
	pthread_mutex_lock(&f->lock);
	bool is = f->missing || is_over(f);
	pthread_mutex_unlock(&f->lock);
	return is;
}

bool
fetchless_rests(struct fetchless *f, int64_t now)
{
	pthread_mutex_lock(&f->lock);
	bool lately = f->last <= now && now - f->last < FETCHLESS_AGAIN;
	bool rests = f->missing || (is_over(f) && lately);
	pthread_mutex_unlock(&f->lock);
	return rests;
}

/*
 * Once it is over that stays so, however seldom there is mail to try it with. The clock may have
 * been set back: then it all begins anew.
 */
static void
count(struct fetchless *f, int64_t now)
{
	bool in_row = f->times > 0 && f->last <= now && (is_over(f) || now - f->last <= f->gap);
	if (!in_row) {
		f->since = now;
		f->times = 0;
	}
	f->last = now;
	f->times += f->times < TIMES_MAX;
}

enum fetchless_news
fetchless_note(struct fetchless *f, bool there, int64_t now)
{
	pthread_mutex_lock(&f->lock);
	if (there)
		f->times = 0;
	else
		count(f, now);
	save(f);
	enum fetchless_news news = !there ? (is_over(f) ? FETCHLESS_OVER : FETCHLESS_FIRST)
		: f->said == FETCHLESS_FIRST || f->said == FETCHLESS_OVER ? FETCHLESS_BACK
		: f->said;
	bool new = news != f->said;
	f->said = news;
	pthread_mutex_unlock(&f->lock);
	return new ? news : FETCHLESS_NOTHING;
}

int64_t
fetchless_look(int dir)
{
	struct fetchless f = { .dir = dir };
	load(&f);
	return is_over(&f) ? f.since : 0;
}
