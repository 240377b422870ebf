/*
 * sendmail: takes a message from a program on this host, and hands it to smtpd.
 *
 * It is what cron, PHP, mutt and most others call. It is not set-id and needs no right: it speaks
 * SMTP at a socket that is open to everybody (submit/ways.h), and who the user is says the kernel,
 * to smtpd. So nothing that is said or forged here gives anybody more than he has; what protects
 * smtpd and the other users is in smtpd. What is in the environment, in a file of aliases or on the
 * command line can mislead this process alone, which is its caller's.
 *
 * The message is read to its end before a word is said. "Queued" is smtpd's 250 and nothing else.
 *
 * Exit status (sysexits.h): 0 the message is queued, durably, for all; anything else: it is not.
 * 64 the command line is wrong; 65 the message or an address; 66 the file of aliases; 67 a
 * recipient was refused; 69 there is no such service; 74 standard input fails, or standard output
 * where something was asked; 75 try again; 77 not allowed; 78 an alias that nothing can be done
 * with.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/people.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/self.h"
#include "mail/aliases.h"
#include "submit/calls.h"
#include "submit/deliver.h"
#include "submit/fields.h"

#define ALIASES "/etc/aliases"

enum {
	BLOCK = 64 * 1024,
	ALIASES_MAX = 4 * 1024 * 1024, /* octets of the file */
	NAME_MAX_OCTETS = 200,         /* of a login and of a full name */
	SAID_MAX = 4096,
};

/* Who calls. */
struct user {
	char login[NAME_MAX_OCTETS];
	char name[NAME_MAX_OCTETS];
};

struct sendmail {
	struct calls calls;
	struct user user;
	struct conf conf;
	struct way_terms ways;
	struct buf aliases;
	struct recipients to;
	struct text text;
};

static struct sendmail self; /* large */

/* A line for the user. `text` may hold what others wrote: it is escaped, or came escaped. */
static int __attribute__((format(printf, 2, 3)))
give_up(int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("sendmail: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\n", stderr);
	va_end(ap);
	return status;
}

/* ---- who calls, and where we are ------------------------------------------------------------- */

/* The full name is what stands before the first comma; "&" is the login in it. */
static void
find_name(const char *gecos, struct user *u)
{
	size_t n = 0;
	for (; *gecos != '\0' && *gecos != ',' && n + 1 < sizeof(u->name); gecos++) {
		if (*gecos != '&') {
			u->name[n++] = *gecos;
			continue;
		}
		for (const char *l = u->login; *l != '\0' && n + 1 < sizeof(u->name); l++)
			u->name[n++] = (char)(l == u->login ? toupper((unsigned char)*l) : *l);
	}
	u->name[n] = '\0';
}

/* By the real user, for a program that is set-id sends for who started it. */
static void
find_user(struct user *u)
{
	const struct passwd *p = getpwuid(getuid());
	if (p == NULL) {
		snprintf(u->login, sizeof(u->login), "uid%u", (unsigned)getuid());
		return;
	}
	snprintf(u->login, sizeof(u->login), "%s", p->pw_name);
	find_name(p->pw_gecos != NULL ? p->pw_gecos : "", u);
}

/*
 * A configuration that this user cannot read, or that is wrong, is smtpd's business: here it says
 * only what is too large, and whose the spool is.
 */
static void
read_conf(struct conf *c)
{
	auto_buf why = buf_new(SAID_MAX);
	struct conf_args args = { .profile = "local" };
	if (conf_load(c, &args, NULL, &why) < 0)
		conf_free(c);
}

/* A file that the environment may put in another's place: for tests, and for chroots. */
static const char *
path_of(const char *variable, const char *usual)
{
	const char *named = secure_getenv(variable);
	return named != NULL && !self_is_set_id() ? named : usual;
}

/* A missing file has no aliases. 0 or -errno. */
static int
read_aliases(const char *path, struct buf *out)
{
	static char block[BLOCK];
	*out = buf_new(ALIASES_MAX);
	auto_fd fd = file_open(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	ssize_t n;
	while ((n = read(fd, block, sizeof(block))) > 0 && out->err == 0)
		buf_add(out, (struct span){ block, (size_t)n });
	if (n < 0)
		return -errno;
	return out->err == -E2BIG ? -EFBIG : out->err;
}

static struct span
aliases_text(void)
{
	return span_without_mark(buf_span(&self.aliases));
}

/* Where CRs alone end lines, the file may be one comment. EX_OK or a status, which was said. */
static int
look_at_aliases(const char *path, const char *then)
{
	unsigned line = span_stray_cr_at(aliases_text());
	return line == 0 ? EX_OK
		: give_up(EX_CONFIG, "%s:%u: a CR that ends no line%s", path, line, then);
}

/* ---- a message ------------------------------------------------------------------------------- */

static bool
is_too_large(void)
{
	return self.conf.receive.max_size > 0 && text_size(&self.text) > self.conf.receive.max_size;
}

/* All of standard input. EX_OK or a status, which was said. */
static int
read_text(void)
{
	static char block[BLOCK];
	ssize_t n = 1;
	self.text = text_new(self.calls.dots);
	while (n != 0 && !self.text.over && self.text.body.err == 0 && !is_too_large()) {
		n = read(STDIN_FILENO, block, sizeof(block));
		if (n < 0 && errno != EINTR)
			return give_up(EX_IOERR, "standard input: %s; nothing was queued",
				strerror(errno));
		if (n > 0)
			text_feed(&self.text, (struct span){ block, (size_t)n });
	}
	if (is_too_large())
		return give_up(EX_DATAERR, "the message is larger than max_size, %lld octets",
			(long long)self.conf.receive.max_size);
	text_end(&self.text);
	if (self.text.large_header)
		return give_up(EX_DATAERR, "the header of the message is larger than %d octets",
			(int)TEXT_HEADER);
	if (self.text.body.err != 0)
		return give_up(EX_TEMPFAIL, "the message cannot be kept: %s; nothing was queued",
			strerror(-self.text.body.err));
	return EX_OK;
}

static int
refuse_recipient(int status)
{
	const struct buf *why = &self.to.why;
	return give_up(status, "%.*s; nothing was queued", (int)why->n, why->n > 0 ? why->p : "");
}

static int
add_field(void *to, const char *name, struct span value)
{
	(void)name;
	return recipients_add(to, value);
}

/* Of the command line. EX_OK or a status, which was said. */
static int
find_recipients(void)
{
	const char *path = path_of("POSTERN_ALIASES", ALIASES);
	int r = self.calls.plain ? 0 : read_aliases(path, &self.aliases);
	if (r < 0)
		return give_up(EX_TEMPFAIL, "%s: %s; nothing was queued", path, strerror(-r));
	if (look_at_aliases(path, "; nothing was queued") != EX_OK)
		return EX_CONFIG;
	self.to = recipients_new(aliases_text());
	for (char **word = self.calls.recipients; *word != NULL; word++) {
		int status = recipients_add(&self.to, span_of(*word));
		if (status != EX_OK)
			return refuse_recipient(status);
	}
	return EX_OK;
}

static int
find_in_header(void)
{
	int status = EX_OK;
	if (self.calls.from_header)
		status = fields_recipients(buf_span(&self.text.header), add_field, &self.to);
	if (status != EX_OK)
		return refuse_recipient(status);
	if (self.to.n == 0)
		return give_up(EX_USAGE, "no recipients%s", self.calls.from_header
			? " in To, Cc or Bcc" : "; --help says how to name them");
	return EX_OK;
}

/*
 * As the local part of an address; in quotes where it is none without them: names of a directory of
 * Windows have a backslash, and blanks.
 */
static bool
name_user(const char *login, struct recipient *out)
{
	auto_buf quoted = buf_new(2 * NAME_MAX_OCTETS + 2);
	if (recipients_one(span_of(login), out))
		return true;
	buf_puts(&quoted, "\"");
	for (; *login != '\0'; login++) {
		if (*login == '"' || *login == '\\')
			buf_puts(&quoted, "\\");
		buf_add(&quoted, (struct span){ login, 1 });
	}
	buf_puts(&quoted, "\"");
	return quoted.err == 0 && recipients_one(buf_span(&quoted), out);
}

static int
deliver(void)
{
	struct deliver d = { .ways = &self.ways, .text = &self.text, .to = &self.to,
		.name = self.calls.name != NULL ? self.calls.name : self.user.name,
		.notify = self.calls.notify, .ret = self.calls.ret,
		.envid = self.calls.envid[0] != '\0' ? self.calls.envid : NULL,
		.said = buf_new(SAID_MAX) };
	if (!name_user(self.user.login, &d.author) && self.calls.sender == NULL)
		return give_up(EX_NOUSER, "the name of this user is none for mail; -f names a "
			"sender");
	d.sender = d.author;
	if (self.calls.sender != NULL && !recipients_one(span_of(self.calls.sender), &d.sender))
		return give_up(EX_DATAERR, "the sender is no address; nothing was queued");
	if (d.sender.address[0] != '\0')
		d.author = d.sender;
	(void)people_mailname(path_of("POSTERN_MAILNAME", PEOPLE_MAILNAME), d.domain);
	int status = deliver_message(&d);
	const char *said = d.said.n > 0 ? d.said.p : "";
	if (status != EX_OK)
		(void)give_up(status, "not queued: %.*s", (int)d.said.n, said);
	else if (self.calls.verbose)
		printf("%.*s\n", (int)d.said.n, said);
	buf_free(&d.said);
	return status;
}

static int
send_message(void)
{
	if (self.calls.recipients[0] == NULL && !self.calls.from_header)
		return give_up(EX_USAGE, "no recipients; --help says how to name them");
	int status = find_recipients();
	if (status == EX_OK)
		status = read_text();
	if (status == EX_OK)
		status = find_in_header();
	if (status == EX_OK)
		status = deliver();
	return status;
}

/* ---- other modes ----------------------------------------------------------------------------- */

/* Moves what there is from one to the other. False: there is no more. */
static bool
pass_on(int from, int to)
{
	static char block[BLOCK];
	ssize_t n = read(from, block, sizeof(block));
	for (ssize_t done = 0, w; done < n; done += w)
		if ((w = write(to, block + done, (size_t)(n - done))) < 0)
			return false;
	return n > 0;
}

/*
 * -bs: between standard input and output, and an smtpd. It may be that inetd or a wrapper started
 * this for a client of the network, to which standard error leads, too.
 */
static int
speak_smtp(void)
{
	auto_buf said = buf_new(SAID_MAX);
	if (ways_is_network()) {
		(void)ways_become_public(&self.ways);
		puts("421 4.3.0 Error: there is no smtpd\r");
		return EX_UNAVAILABLE;
	}
	int r = ways_may_write(&self.ways) && !self.ways.alone && access(self.ways.socket, F_OK) < 0
		? ways_become(&self.ways) : 0;
	auto_fd fd = deliver_connect(&self.ways, &said);
	if (fd < 0)
		return give_up(EX_TEMPFAIL, "%.*s%s", (int)said.n, said.n > 0 ? said.p : "",
			r < 0 ? "; and smtpd cannot be run" : "");
	struct pollfd at[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };
	while (poll(at, 2, -1) >= 0 || errno == EINTR) {
		if (at[1].revents != 0 && !pass_on(fd, STDOUT_FILENO))
			break;
		if (at[0].revents != 0 && !pass_on(STDIN_FILENO, fd)) {
			(void)shutdown(fd, SHUT_WR);
			at[0].fd = -1;
		}
	}
	return EX_OK;
}

/* -bv: one line for each. */
static int
verify(void)
{
	char shown[2 * LIMIT_PATH];
	int status = find_recipients();
	for (size_t i = 0; i < self.to.n && status == EX_OK; i++) {
		buf_escape_text(shown, sizeof(shown), span_of(self.to.v[i].address));
		printf("%s%s\n", shown, self.to.v[i].bare ? " (at this host)" : "");
	}
	return status;
}

/* Becomes another program, if it is there. */
static void
become_postern(const char *const *words)
{
	char beside[PATH_MAX];
	const char *places[] = { ways_beside("postern", beside) ? beside : NULL,
		"/usr/local/sbin/postern", "/usr/local/bin/postern", "/usr/sbin/postern",
		"/usr/bin/postern" };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i] != NULL)
			execv(places[i], (char *const *)words);
}

/* mailq: the list is made by another program. An empty one is none that failed. */
static int
list_queue(void)
{
	become_postern((const char *const[]){ "postern", "list", "--or-none", NULL });
	return give_up(EX_UNAVAILABLE, "the program postern, which lists the queue, is not "
		"installed; as root: ls %s/lane/*", self.conf.who.spool != NULL
		? self.conf.who.spool : "/var/spool/postern");
}

static int
retry_some(void)
{
	const char *by = strcmp(self.calls.chosen_by, "id") == 0 ? "--"
		: strcmp(self.calls.chosen_by, "to") == 0	 ? "--to"
								 : "--from";
	become_postern((const char *const[]){ "postern", "retry", "--no-wait", by,
		self.calls.chosen, NULL });
	return give_up(EX_UNAVAILABLE, "the program postern, which tries some of what waits, is "
		"not installed");
}

/* -q: root, and the service's user, may start a relay. */
static int
flush_queue(void)
{
	char relay[PATH_MAX];
	if (!ways_may_write(&self.ways))
		return give_up(EX_NOPERM, "what waits is delivered when it is due, and by root at "
			"once");
	if (self.calls.chosen_by != NULL)
		return retry_some();
	if (ways_beside("relay", relay))
		execl(relay, "relay", "--due", "--now", (char *)NULL);
	return give_up(EX_UNAVAILABLE, "%s: %s", relay, strerror(errno));
}

/* Looks at each entry, as if there were mail for it. */
static int
check_aliases(void)
{
	const char *path = path_of("POSTERN_ALIASES", ALIASES);
	struct span rest, name, values;
	int entries = 0, status = EX_OK;
	int r = read_aliases(path, &self.aliases);
	if (r < 0)
		return give_up(EX_NOINPUT, "%s: %s", path, strerror(-r));
	if (look_at_aliases(path, "") != EX_OK)
		return EX_CONFIG;
	rest = aliases_text();
	for (; aliases_entry(&rest, &name, &values); entries++) {
		self.to = recipients_new(aliases_text());
		int one = recipients_add(&self.to, name);
		if (one != EX_OK)
			status = give_up(one, "%s: %.*s", path, (int)self.to.why.n, self.to.why.p);
		recipients_free(&self.to);
	}
	printf("%s: %d aliases; the file is read as it is, there is nothing to build\n", path,
		entries);
	return status;
}

/* ---- begin ----------------------------------------------------------------------------------- */

/* What is opened must not become standard input or output; a closed input is no empty message. */
static bool
fill_standard(void)
{
	bool input = fcntl(STDIN_FILENO, F_GETFD) >= 0;
	bool output = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	fd = output ? -1 : open("/dev/null", O_RDONLY); /* what is printed to nobody is lost */
	if (fd >= 0) {
		(void)dup2(fd, STDOUT_FILENO);
		close(fd);
	}
	return input;
}

/* What was asked for was told, or the status says that it was not. Mail does not end so. */
static int
told(int status)
{
	int r = file_flush(stdout);
	return status != EX_OK || r == 0 ? status
		: give_up(EX_IOERR, "standard output: %s", strerror(-r));
}

static int
run(bool input)
{
	switch (self.calls.mode) {
	case CALLS_HELP:
		(void)fputs(calls_usage, stdout);
		return told(EX_OK);
	case CALLS_VERSION:
		(void)puts("Postern " POSTERN_VERSION);
		return told(EX_OK);
	case CALLS_LIST:
		return list_queue();
	case CALLS_ALIASES:
		return told(check_aliases());
	case CALLS_FLUSH:
		return flush_queue();
	case CALLS_VERIFY:
		return told(verify());
	case CALLS_SMTP:
		return speak_smtp();
	default:
		return input ? send_message()
			     : give_up(EX_IOERR, "standard input is closed; nothing was queued");
	}
}

int
main(int argc, char **argv)
{
	bool input = fill_standard();
	if (argc < 1)
		return EX_USAGE;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	calls_read(&self.calls, argc, argv);
	if (self.calls.wrong[0] != '\0')
		return give_up(EX_USAGE, "%s", self.calls.wrong);
	find_user(&self.user);
	read_conf(&self.conf);
	ways_find(&self.ways, &self.conf);
	return run(input);
}
