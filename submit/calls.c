#include "submit/calls.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "mail/envelope.h"
#include "mail/xtext.h"

enum { OPT_HELP = 256, OPT_VERSION };

static const char letters[] = ":A:B:b:C:D:d::e:F:f:Gh:IiL:M:mN:nO:o:p:Q::q::R:r:T:tUV:vX:x:";
static const struct option longs[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

const char calls_usage[] =
	"usage: sendmail [OPTION]... [ADDRESS]...   queues the message on standard input\n"
	"  -t             for the addresses in To, Cc and Bcc, too; Bcc is taken out\n"
	"  -i, -oi        a dot alone in a line does not end the message\n"
	"  -f, -r ADDRESS the sender, and From where it is missing; \"<>\": the null sender\n"
	"  -F NAME        the full name for From where it is missing\n"
	"  -N WORDS       when the sender is told: never, or success,failure,delay\n"
	"  -R full|hdrs   what of the message a report gives back\n"
	"  -V ID          an id for reports\n"
	"  -B TYPE        7BIT or 8BITMIME; is seen from the message itself\n"
	"  -n             no aliases\n"
	"  -v             say what came of it\n"
	"  -bm            as without it\n"
	"  -bs            speak SMTP on standard input and output\n"
	"  -bv            say where mail for these addresses would go\n"
	"  -bp, mailq     list the queue (postern list)\n"
	"  -bi, newaliases  check /etc/aliases\n"
	"  -q, runq       deliver what waits (relay --due --now)\n"
	"  -qI ID, -qS SENDER, -qR RECIPIENT (without the blank)  some of it (postern retry)\n"
	"  -A -C -D -d -e -G -h -L -M -m -o -p -Q -T -U -X -x   taken, and ignored\n"
	"  --             what follows is an address\n"
	"Status: 0 queued; 64 the command line is wrong; 65 the message or an address;\n"
	"66 the file of aliases; 67 a recipient; 69 a program that is not there; 74 standard input\n"
	"fails; 75 try again; 77 not allowed; 78 an alias. Nothing is queued but with 0.\n"
	"Environment: POSTERN_SOCKET (instead of /run/postern/local, and of all other ways),\n"
	"POSTERN_PATIENCE (seconds, of each wait), POSTERN_ALIASES, POSTERN_MAILNAME (other files),\n"
	"TMPDIR (where a message of more than 1 MiB is kept meanwhile).\n";

static void
complain(struct calls *c, const char *what, const char *value)
{
	char shown[60];
	if (c->wrong[0] != '\0')
		return;
	buf_escape_text(shown, sizeof(shown), span_of(value));
	snprintf(c->wrong, sizeof(c->wrong), "%s: %s", what, shown);
}

static void
set_mode(struct calls *c, const char *word)
{
	static const struct {
		char letter;
		enum calls_mode mode;
	} modes[] = { { 'm', CALLS_SEND }, { 'a', CALLS_SMTP }, { 's', CALLS_SMTP },
		{ 'v', CALLS_VERIFY }, { 'p', CALLS_LIST }, { 'i', CALLS_ALIASES } };
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (word[0] == modes[i].letter) {
			c->mode = modes[i].mode;
			return;
		}
	if (word[0] == 'd' || word[0] == 'D')
		complain(c, "there is no daemon; postern.socket listens", "-bd");
	else
		complain(c, "no such mode", word);
}

/* -o and a letter, perhaps with a value. */
static void
set_old_option(struct calls *c, const char *word)
{
	if (strcmp(word, "i") == 0)
		c->dots = true;
	else if (strcmp(word, "t") == 0)
		c->from_header = true;
	else if (strcmp(word, "v") == 0)
		c->verbose = true;
}

/* -O Name=value; one of them means something here. */
static void
set_long_option(struct calls *c, const char *word)
{
	static const struct span dots = { "IgnoreDots", 10 };
	struct span value = span_of(word), name = span_trim(span_cut(&value, '='));
	value = span_trim(value);
	if (span_ieq(name, dots))
		c->dots = value.n == 0 || ascii_lower(value.p[0]) == 't' ||
			ascii_lower(value.p[0]) == 'y';
}

/* -qI, -qS, -qR: what `postern retry` is told. Another choice must not become "all". */
static void
choose(struct calls *c, const char *word)
{
	static const struct {
		char letter;
		const char *by;
	} ways[] = { { 'I', "id" }, { 'S', "from" }, { 'R', "to" } };
	const char *value = word + 1;
	if (word[0] != 'I' && value[0] == '@') /* a part of an address, as it is used most often */
		value++;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (word[0] == ways[i].letter && value[0] != '\0') {
			c->chosen_by = ways[i].by;
			c->chosen = value;
			return;
		}
	complain(c, "-q: what waits cannot be chosen by this", word);
}

static void
set_queue(struct calls *c, const char *word)
{
	c->mode = CALLS_FLUSH;
	if (word != NULL && word[0] != '\0' && strcmp(word, "f") != 0 && !ascii_digit(word[0]))
		choose(c, word);
	if (word != NULL && ascii_digit(word[0]))
		complain(c, "there is no daemon; postern-due.timer looks for mail that is due",
			"-q");
}

static void
set_notify(struct calls *c, const char *word)
{
	unsigned notify;
	c->notify = word;
	if (!envelope_parse_notify(span_of(word), &notify))
		complain(c, "-N is not never, nor of success, failure, delay", word);
}

static void
set_ret(struct calls *c, const char *word)
{
	enum ret ret;
	if (!envelope_parse_ret(span_of(word), &ret))
		complain(c, "-R is neither full nor hdrs", word);
	else
		c->ret = envelope_ret_word(ret);
}

/* As xtext (RFC 3461 section 4): what would end a line or a parameter does not. */
static void
set_envid(struct calls *c, const char *given)
{
	auto_buf b = buf_new(sizeof(c->envid) - 1);
	for (const char *word = given; *word != '\0'; word++) {
		bool plain = *word > ' ' && *word <= '~' && *word != '+' && *word != '=';
		buf_printf(&b, plain ? "%c" : "+%02X", (unsigned char)*word);
	}
	if (b.err != 0)
		complain(c, "-V is longer than 100 octets", given);
	else if (b.n == 0 || !xtext_valid(buf_span(&b), sizeof(c->envid) - 1))
		complain(c, "-V is no id", given);
	else
		snprintf(c->envid, sizeof(c->envid), "%.*s", (int)b.n, b.p);
}

static void
set_body(struct calls *c, const char *word)
{
	enum body body;
	if (!envelope_parse_body(span_of(word), &body))
		complain(c, "-B is neither 7BIT nor 8BITMIME", word);
}

/* What is no letter of a setting; any other is taken, and ignored. */
static void
set_other(struct calls *c, int option)
{
	if (option == OPT_HELP)
		c->mode = CALLS_HELP;
	else if (option == OPT_VERSION)
		c->mode = CALLS_VERSION;
	else if (option == ':')
		complain(c, "a value is missing", (const char[]){ '-', (char)optopt, '\0' });
	else if (option == '?')
		complain(c, "no such option", optopt > 0 && optopt < OPT_HELP
			? (const char[]){ '-', (char)optopt, '\0' } : "--");
}

static void
set(struct calls *c, int option)
{
	switch (option) {
	case 'b':
		set_mode(c, optarg);
		break;
	case 'B':
		set_body(c, optarg);
		break;
	case 'f':
	case 'r':
		c->sender = optarg;
		break;
	case 'F':
		c->name = optarg;
		break;
	case 'I':
		c->mode = CALLS_ALIASES;
		break;
	case 'i':
		c->dots = true;
		break;
	case 'N':
		set_notify(c, optarg);
		break;
	case 'n':
		c->plain = true;
		break;
	case 'O':
		set_long_option(c, optarg);
		break;
	case 'o':
		set_old_option(c, optarg);
		break;
	case 'q':
		set_queue(c, optarg);
		break;
	case 'R':
		set_ret(c, optarg);
		break;
	case 't':
		c->from_header = true;
		break;
	case 'V':
		set_envid(c, optarg);
		break;
	case 'v':
		c->verbose = true;
		break;
	default:
		set_other(c, option);
	}
}

void
calls_read(struct calls *c, int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];
	*c = (struct calls){ .mode = strcmp(name, "mailq") == 0 ? CALLS_LIST
		: strcmp(name, "newaliases") == 0 ? CALLS_ALIASES
		: strcmp(name, "runq") == 0	  ? CALLS_FLUSH
						  : CALLS_SEND };
	opterr = 0;
	(void)unsetenv("POSIXLY_CORRECT"); /* an option behind an address is no recipient */
	for (int o; (o = getopt_long(argc, argv, letters, longs, NULL)) != -1;)
		set(c, o);
	c->recipients = argv + optind;
}
