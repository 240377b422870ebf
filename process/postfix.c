#include "process/postfix.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "lib/id.h"
#include "lib/limits.h"

enum { CLIENT_MAX = 80, VERB_MAX = 16 };

/* What a line is made of. */
struct event {
	const struct log_fields *f;
	int priority;
	const char *program, *text;
	char id[ID_SIZE];          /* in capitals; or empty */
	char client[CLIENT_MAX];   /* "unknown[192.0.2.1]" */
	char verb[VERB_MAX];       /* in capitals, of what the client said; or empty */
	char *out;
	size_t room;
};

static void say(const struct event *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(const struct event *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(e->out, e->room, fmt, ap);
	va_end(ap);
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static void
capitals(char *out, size_t room, const char *s, size_t n)
{
	size_t i = 0;
	for (; i < n && s[i] != '\0' && i + 1 < room; i++)
		out[i] = (char)toupper((unsigned char)s[i]);
	out[i] = '\0';
}

/* Ours are "[192.0.2.1]" and "[IPv6:2001:db8::1]", or a word for a client of this host. */
static void
name_client(const char *client, char *out, size_t room)
{
	static const char v6[] = "[IPv6:";
	if (strncmp(client, v6, sizeof(v6) - 1) == 0)
		snprintf(out, room, "unknown[%s", client + sizeof(v6) - 1);
	else if (client[0] == '[')
		snprintf(out, room, "unknown%s", client);
	else
		snprintf(out, room, "localhost[%s]", client);
}

/* A place in the conversation is called as Postfix calls it. Empty: it is no word. */
static void
name_verb(const char *command, char *out, size_t room)
{
	size_t n = strspn(command, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
	capitals(out, room, command, command[n] == ' ' || command[n] == '\0' ? n : 0);
	if (strcmp(out, "GREETING") == 0)
		snprintf(out, room, "CONNECT");
	else if (strcmp(out, "MESSAGE") == 0)
		snprintf(out, room, "END-OF-MESSAGE");
}

/* ---- clients --------------------------------------------------------------------------------- */

static const char *
say_accepted(const struct event *e, int part)
{
	const struct log_fields *f = e->f;
	bool user = f->user != NULL;
	static const char *const names[POSTFIX_PARTS] = { "smtpd", "cleanup", "qmgr" };
	if (part == 0)
		say(e, "%s: client=%s%s%s%s%s", e->id, e->client, user ? ", sasl_method=" : "",
			user ? or_empty(f->mechanism) : "", user ? ", sasl_username=" : "",
			user ? f->user : "");
	else if (part == 1)
		say(e, "%s: message-id=<%s>", e->id, or_empty(f->message_id));
	else
		say(e, "%s: from=<%s>, size=%s, nrcpt=%s (queue active)", e->id,
			or_empty(f->sender), or_empty(f->size), or_empty(f->recipients));
	return names[part];
}

/* What stands in brackets in "RCPT TO:<address>"; the text is escaped. */
static int
address_of(const char *command, const char **begin)
{
	const char *from = strchr(command, '<'), *to = from != NULL ? strchr(from, '>') : NULL;
	*begin = from != NULL && to != NULL ? from + 1 : "";
	return from != NULL && to != NULL ? (int)(to - from - 1) : 0;
}

/* The words of a reply behind its codes, without our "Error: ". */
static const char *
words_of(const char *reply)
{
	static const char error[] = "Error: ";
	const char *words = reply + strspn(reply, "0123456789. ");
	const char *at = strstr(words, error); /* a host name may stand before it */
	return at != NULL ? at + sizeof(error) - 1 : words;
}

/* "550 5.7.1" out of "550 5.7.1 Error: ..."; a reply may have the first code alone. */
static void
codes_of(const char *reply, char *out, size_t room)
{
	size_t n = strspn(reply, "0123456789. ");
	while (n > 0 && reply[n - 1] == ' ')
		n--;
	if (memchr(reply, '.', n) != NULL)
		snprintf(out, room, "%.*s", (int)n, reply);
	else
		snprintf(out, room, "%.3s %c.0.0", reply, reply[0] != '\0' ? reply[0] : '5');
}

/* What a refusal is about, in the words that readers look for. */
static void
explain(const struct event *e, char *out, size_t room)
{
	const char *address, *words = words_of(or_empty(e->f->reply));
	int n = address_of(or_empty(e->f->command), &address);
	bool rcpt = strcmp(e->verb, "RCPT") == 0, mail = strcmp(e->verb, "MAIL") == 0;
	if (strcmp(words, "message too large") == 0)
		snprintf(out, room, "Message size exceeds fixed limit");
	else if (strcmp(words, "insufficient system storage") == 0)
		snprintf(out, room, "Insufficient system storage");
	else if (strcmp(e->f->event, "relay_denied") == 0)
		snprintf(out, room, "<%.*s>: Relay access denied", n, address);
	else if (rcpt || mail)
		snprintf(out, room, "<%.*s>: %s address rejected: %s", n, address,
			rcpt ? "Recipient" : "Sender", words);
	else if (strcmp(e->verb, "CONNECT") == 0)
		snprintf(out, room, "<%s>: Client host rejected: %s", e->client, words);
	else if (strcmp(e->verb, "HELO") == 0 || strcmp(e->verb, "EHLO") == 0)
		snprintf(out, room, "<%s>: Helo command rejected: %s", or_empty(e->f->helo), words);
	else
		snprintf(out, room, "<%s>: Data command rejected: %s", e->verb, words);
}

/* Postfix has no such line for other commands, so that readers would not know it. */
static bool
is_rejection(const struct event *e)
{
	static const char verbs[][VERB_MAX] = { "RCPT", "MAIL", "CONNECT", "HELO", "EHLO", "DATA",
		"END-OF-MESSAGE" };
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(e->verb, verbs[i]) == 0)
			return e->f->reply != NULL;
	return false;
}

static const char *
say_refused(const struct event *e)
{
	const struct log_fields *f = e->f;
	char codes[24], why[LIMIT_LOG_TEXT * 2];
	const char *to;
	int n = strcmp(e->verb, "RCPT") == 0 ? address_of(or_empty(f->command), &to) : 0;
	if (!is_rejection(e)) {
		say(e, "warning: %s: \"%s\": %s", e->client, or_empty(f->command),
			f->reply != NULL ? f->reply : e->text);
		return "smtpd";
	}
	codes_of(f->reply, codes, sizeof(codes));
	explain(e, why, sizeof(why));
	/* Nobody looks for an address in what else the client said. */
	for (char *p = why; (p = strchr(p, ';')) != NULL;)
		*p = ',';
	int size = snprintf(e->out, e->room, "%s: reject: %s from %s: %s %s;",
		e->id[0] != '\0' ? e->id : "NOQUEUE", e->verb, e->client, codes, why);
	struct event rest = *e;
	if (size < 0 || (size_t)size >= e->room)
		return "smtpd";
	rest.out += size;
	rest.room -= (size_t)size;
	if (f->sender != NULL)
		say(&rest, " from=<%s>%s%.*s%s proto=%s helo=<%s>", f->sender, n > 0 ? " to=<" : "",
			n, n > 0 ? to : "", n > 0 ? ">" : "",
			f->protocol != NULL ? f->protocol : "SMTP", or_empty(f->helo));
	else
		say(&rest, " proto=%s helo=<%s>", f->protocol != NULL ? f->protocol : "SMTP",
			or_empty(f->helo));
	return "smtpd";
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static const char *
say_outcome(const struct event *e, const char *status)
{
	const struct log_fields *f = e->f;
	const char *reply = or_empty(f->reply);
	bool said = f->relay != NULL && isdigit((unsigned char)reply[0]) && reply[0] != '2';
	say(e, "%s: to=<%s>, relay=%s, delay=%s, dsn=%s, status=%s (%s%s%s%s)", e->id,
		or_empty(f->recipient), f->relay != NULL ? f->relay : "none",
		f->delay != NULL ? f->delay : "0", f->status != NULL ? f->status : "4.0.0", status,
		said ? "host " : "", said ? f->relay : "", said ? " said: " : "", reply);
	return "smtp";
}

static const char *
say_report(const struct event *e)
{
	char report[ID_SIZE];
	if (e->f->report == NULL) {
		say(e, "warning: %s", e->text);
		return "bounce";
	}
	capitals(report, sizeof(report), e->f->report, ID_LEN);
	say(e, "%s: sender non-delivery notification: %s", e->id, report);
	return "bounce";
}

static const char *
say_connected_to_host(const struct event *e)
{
	if (e->f->tls == NULL)
		return NULL;
	bool verified = strstr(e->f->tls, ", verified") != NULL; /* sending/link.c */
	say(e, "%s TLS connection established to %s: %s", verified ? "Verified" : "Untrusted",
		or_empty(e->f->relay), e->f->tls);
	return "smtp";
}

/* ---- all ------------------------------------------------------------------------------------- */

/*
 * What Postfix never says. What nobody has to look at goes by its name for whatever others log
 * (postlog), which readers pass by; from a daemon it would be a line that they do not know.
 */
static const char *
say_other(const struct event *e)
{
	bool warning = e->priority <= LOG_NOTICE;
	say(e, "%s%s", warning ? "warning: " : "", e->text);
	if (!warning)
		return "postlog";
	return strcmp(e->program, "relay") == 0 ? "smtp" : e->program;
}

static bool
is(const struct event *e, const char *name)
{
	return strcmp(or_empty(e->f->event), name) == 0;
}

/* "smtpd", or NULL: it is not about a client, or told in other words. */
static const char *
say_of_client(const struct event *e)
{
	const struct log_fields *f = e->f;
	if (f->client == NULL)
		return NULL;
	if (is(e, "connected"))
		say(e, "connect from %s", e->client);
	else if (is(e, "disconnected"))
		say(e, "disconnect from %s", e->client);
	else if (is(e, "lost") && e->verb[0] != '\0')
		say(e, "lost connection after %s from %s", e->verb, e->client);
	else if (is(e, "too_many_errors"))
		say(e, "too many errors after %s from %s",
			e->verb[0] != '\0' ? e->verb : "UNKNOWN", e->client);
	else if (is(e, "auth_failed"))
		say(e, "warning: %s: SASL %s authentication failed: authentication failure",
			e->client, f->mechanism != NULL ? f->mechanism : "PLAIN");
	else if (is(e, "tls") && f->tls != NULL)
		say(e, "Anonymous TLS connection established from %s: %s", e->client, f->tls);
	else if ((is(e, "refused") || is(e, "relay_denied")) && f->command != NULL)
		return say_refused(e);
	else
		return NULL;
	return "smtpd";
}

const char *
postfix_line(int priority, const struct log_fields *f, const char *program, const char *text,
	int part, char *out, size_t room)
{
	struct event e = { .f = f, .priority = priority, .program = program, .text = text,
		.out = out, .room = room };
	capitals(e.id, sizeof(e.id), or_empty(f->queue_id), ID_LEN);
	name_client(or_empty(f->client), e.client, sizeof(e.client));
	name_verb(or_empty(f->command), e.verb, sizeof(e.verb));
	if (is(&e, "accepted"))
		return part < POSTFIX_PARTS ? say_accepted(&e, part) : NULL;
	if (part > 0 || is(&e, "authenticated"))
		return NULL;
	if (is(&e, "host_connected"))
		return say_connected_to_host(&e);
	if (is(&e, "delivered"))
		return say_outcome(&e, "sent");
	if (is(&e, "deferred") || is(&e, "bounced"))
		return say_outcome(&e, f->event);
	if (is(&e, "report"))
		return say_report(&e);
	const char *of_client = say_of_client(&e);
	return of_client != NULL ? of_client : say_other(&e);
}
