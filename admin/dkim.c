/*
 * dkim: makes keys of DKIM, prints the records that publish them, and compares those with the DNS.
 *
 * Private keys are read and made by sign alone, which is run for it. Before it asks the DNS it
 * becomes the user of the service, and is locked in, for what answers is a stranger's.
 */
#include "admin/command.h"

#include <sys/stat.h>
#include <time.h>

#include "admin/asking.h"
#include "admin/errand.h"
#include "conf/dkimkeys.h"
#include "dns/txt.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/alabel.h"
#include "mail/dkim.h"
#include "process/launch.h"
#include "process/program.h"

enum {
	PATIENCE = 60,        /* s for sign to make a key, or to read all of them */
	SAID_MAX = 512 * 1024,
	STRING = 255,         /* octets of one string of a record (RFC 1035 section 3.3.14) */
	RECORD_MAX = 4096,
	SELECTOR = DKIM_SELECTOR + 2, /* so that one that is cut is none */
};

#define OWN_DIRECTORY "/etc/postern"
#define KEY_DIRECTORY OWN_DIRECTORY "/dkim" /* of new ones, unless --dir says otherwise */

/* A line of sign --public. */
struct published {
	struct span domain, selector, kind, p;
};

/*
 * Runs sign with an option of its own; what it complains of goes to our standard error. Its exit
 * status, or -errno.
 */
static int
ask_sign(const struct admin *a, const char *what, const char *argument, struct buf *said)
{
	const char *arg[LAUNCH_ARGUMENTS];
	launch_arguments(&a->options.conf, a->conf.who.sign_path, what, argument, arg);
	int status = errand_talk(arg, (struct span){ "", 0 }, PATIENCE, said);
	if (status < 0)
		admin_trouble(a, "%s: %s", a->conf.who.sign_path, strerror(-status));
	return status;
}

static bool
next_line(struct span *rest, struct published *line)
{
	if (rest->n == 0)
		return false;
	struct span text = span_line(rest);
	line->domain = span_word(&text, " ");
	line->selector = span_word(&text, " ");
	line->kind = span_word(&text, " ");
	line->p = span_word(&text, " ");
	return true;
}

/* What the record of a key says. */
static struct buf
record_of(const struct published *k)
{
	struct buf b = buf_new(RECORD_MAX);
	buf_printf(&b, "v=DKIM1; k=%.*s; p=%.*s", (int)k->kind.n, k->kind.p, (int)k->p.n, k->p.p);
	return b;
}

/* The name of the record; of a key that is for every domain, that of this one. */
static struct buf
name_of(const struct published *k, const char *domain)
{
	struct buf b = buf_new(RECORD_MAX);
	struct span d = span_eq(k->domain, span_of("*")) ? span_of(domain) : k->domain;
	buf_printf(&b, "%.*s._domainkey.%.*s", (int)k->selector.n, k->selector.p, (int)d.n, d.p);
	return b;
}

/* Is the key for a domain ("": for any that the table names)? */
static bool
concerns(const struct published *k, const char *domain)
{
	bool every = span_eq(k->domain, span_of("*"));
	if (domain[0] == '\0')
		return !every;
	return every || span_ieq(k->domain, span_of(domain));
}

/* A line of a zone file, in strings that are as long as they may be. */
static void
print_record(struct admin *a, const struct published *k, const char *domain)
{
	auto_buf name = name_of(k, domain), text = record_of(k);
	struct span rest = buf_span(&text);
	if (a->out.json) {
		out_json(&a->out, json_pack("{s:o, s:o}", "name", out_string(buf_span(&name)),
			"text", out_string(rest)));
		return;
	}
	out_text(&a->out, buf_span(&name));
	out_say(&a->out, ". IN TXT (");
	while (rest.n > 0) {
		struct span part = { rest.p, rest.n < STRING ? rest.n : STRING };
		out_say(&a->out, "\n\t\"");
		out_text(&a->out, part);
		out_say(&a->out, "\"");
		rest = span_skip(rest, part.n);
	}
	out_say(&a->out, " )\n");
}

/* ---- record, check ------------------------------------------------------------------------- */

/* The value of a tag of a record; blanks in it do not count (RFC 6376 section 3.6.1). */
static struct buf
tag(struct span record, char name)
{
	struct buf b = buf_new(RECORD_MAX);
	while (record.n > 0) {
		struct span value = span_cut(&record, ';'), its = span_trim(span_cut(&value, '='));
		if (its.n != 1 || its.p[0] != name)
			continue;
		for (size_t i = 0; i < value.n; i++)
			if (value.p[i] != ' ' && value.p[i] != '\t')
				buf_add(&b, (struct span){ value.p + i, 1 });
		break;
	}
	return b;
}

/* NULL: one of the records has the key; or what is wrong. */
static const char *
compare(const struct published *k, const struct txt *found)
{
	struct span rest = buf_span(&found->texts), text;
	const char *wrong = "it is no key of DKIM";
	while ((text = txt_next(&rest)).p != NULL) {
		auto_buf p = tag(text, 'p'), kind = tag(text, 'k');
		struct span said = kind.n > 0 ? buf_span(&kind) : span_of("rsa"); /* the default */
		if (p.n == 0)
			continue;
		if (span_eq(buf_span(&p), k->p) && span_eq(said, k->kind))
			return NULL;
		wrong = "it has another key";
	}
	return wrong;
}

/* Looks the record up, and says what came of it. Is it as it ought to be? */
static bool
check_one(struct admin *a, struct resolver *r, const struct published *k, const char *domain)
{
	struct txt found;
	auto_buf name = name_of(k, domain);
	buf_add(&name, (struct span){ "", 1 });
	int64_t deadline = clock_deadline(a->conf.delivery.timeout_dns);
	enum answer said = txt_find(r, name.p, deadline, &found);
	const char *wrong = said == ANSWER_FOUND ? compare(k, &found) : found.why;
	if (a->out.json) {
		out_json(&a->out, json_pack("{s:o, s:b, s:o}", "name", out_string(span_of(name.p)),
			"ok", wrong == NULL, "why",
			out_string(span_of(wrong != NULL ? wrong : ""))));
	} else {
		out_colour(&a->out, wrong == NULL ? OUT_GOOD : OUT_BAD);
		out_say(&a->out, wrong == NULL ? "ok    " : "fail  ");
		out_colour(&a->out, OUT_PLAIN);
		out_text(&a->out, span_of(name.p));
		out_say(&a->out, wrong == NULL ? "\n" : ": ");
		if (wrong != NULL) {
			out_text(&a->out, span_of(wrong));
			out_say(&a->out, "\n");
		}
	}
	buf_free(&found.texts);
	return wrong == NULL;
}

/* As the user of the service, and locked in. NULL: it cannot be, which was said. */
static struct resolver *
open_resolver(struct admin *a)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	struct resolver *r = program_drop_root(&a->conf, &a->from, &a->options, &why) < 0
		? NULL : asking_begin(a, &why);
	if (r == NULL)
		admin_trouble(a, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	return r;
}

/* All keys of a domain ("": of all). ADMIN_*. */
static int
look_at_keys(struct admin *a, const char *domain, bool dns)
{
	auto_buf said = buf_new(SAID_MAX);
	struct published k;
	if (a->conf.dkim.keys == NULL) {
		admin_trouble(a, "dkim_keys is not set: nothing is signed");
		return ADMIN_CONFIG;
	}
	int status = ask_sign(a, "--public", NULL, &said);
	struct resolver *r = dns ? open_resolver(a) : NULL;
	bool well = status == 0 && said.n > 0;
	bool any = false;
	if (dns && r == NULL)
		return ADMIN_LATER;
	for (struct span rest = buf_span(&said); next_line(&rest, &k);) {
		if (!concerns(&k, domain))
			continue;
		any = true;
		if (dns)
			well = check_one(a, r, &k, domain) && well;
		else
			print_record(a, &k, domain);
	}
	if (r != NULL)
		resolver_close(r);
	if (!any)
		admin_trouble(a, "%s: there is no key for %s", a->conf.dkim.keys,
			domain[0] != '\0' ? domain : "a domain that it names");
	return well && any ? ADMIN_DONE : ADMIN_NOTHING;
}

/* ---- new ----------------------------------------------------------------------------------- */

static void
choose_selector(const struct admin *a, const char *kind, char out[static SELECTOR])
{
	const char *given = admin_option(a, "selector");
	time_t now = time(NULL);
	struct tm day;
	char date[16] = "";
	if (gmtime_r(&now, &day) != NULL)
		strftime(date, sizeof(date), "%Y%m%d", &day);
	if (given != NULL)
		snprintf(out, SELECTOR, "%s", given);
	else
		snprintf(out, SELECTOR, "%c%s", kind[0], date);
}

/*
 * One that is there already is as its owner wants it; a new one has to be open for the service. Of
 * the one that nobody named what is above it may be missing, too, where there is no configuration.
 */
static void
make_directory(const char *path)
{
	mode_t before = umask(S_IWGRP | S_IWOTH);
	if (strcmp(path, KEY_DIRECTORY) == 0)
		(void)mkdir(OWN_DIRECTORY, 0755);
	(void)mkdir(path, 0755);
	(void)umask(before);
}

/* What is left to do: with the first key there is no table yet that it could be added to. */
static void
tell_steps(struct admin *a, const char *path, const char *line, const struct published *k)
{
	const char *keys = a->conf.dkim.keys;
	out_text(&a->out, span_of(path));
	out_say(&a->out, " was made. Publish its record:\n\n");
	print_record(a, k, "");
	out_say(&a->out, "\nWhen the DNS has it, add this line to %s:\n\n\t",
		keys != NULL ? keys : KEY_DIRECTORY "/keys");
	out_text(&a->out, span_of(line));
	out_say(&a->out, "\n\n");
	if (keys == NULL)
		out_say(&a->out, "and, for it is the first, this one to the configuration:\n\n\t"
			"dkim_keys = " KEY_DIRECTORY "/keys\n\n");
	out_say(&a->out, "It signs from then on, or from a day on that stands behind it "
		"(2027-01-31).\nThen \"postern dkim check\" says whether keys and DNS agree.\n");
}

/* A key that was made, and its record, of which sign has said kind and key. */
static void
tell_new(struct admin *a, const char *path, const char *line, const struct published *k)
{
	auto_buf name = name_of(k, ""), text = record_of(k);
	if (a->out.json)
		out_json(&a->out, json_pack("{s:o, s:o, s:o, s:o}", "file",
			out_string(span_of(path)), "line", out_string(span_of(line)), "name",
			out_string(buf_span(&name)), "text", out_string(buf_span(&text))));
	else
		tell_steps(a, path, line, k);
}

/* Makes a key; says what is to be published, and which line the table is to have. */
static int
make_key(struct admin *a, const char *domain)
{
	const char *dir = admin_option(a, "dir") != NULL ? admin_option(a, "dir") : KEY_DIRECTORY;
	const char *kind = admin_option(a, "ed25519") != NULL ? "ed25519" : "rsa";
	char selector[SELECTOR];
	auto_buf line = buf_new(RECORD_MAX), why = buf_new(LIMIT_COMMAND), said = buf_new(SAID_MAX);
	auto_memory char *path = NULL, *what = NULL;
	struct dkimkeys table;
	choose_selector(a, kind, selector);
	if (asprintf(&path, "%s/%s.%s.pem", dir, selector, domain) < 0 ||
		asprintf(&what, "%s:%s", kind, path) < 0)
		return ADMIN_LATER;
	buf_printf(&line, "%s %s %s", domain, selector, path);
	if (dkimkeys_parse(&table, "the new line", buf_span(&line), &why) < 0)
		return admin_misused(a, "%.*s", (int)why.n, why.p);
	dkimkeys_free(&table);
	make_directory(dir);
	if (ask_sign(a, "--make", what, &said) != 0)
		return ADMIN_LATER;
	buf_add(&line, (struct span){ "", 1 });
	struct span rest = buf_span(&said), made = span_line(&rest);
	struct published k = { .domain = span_of(domain), .selector = span_of(selector) };
	k.kind = span_word(&made, " ");
	k.p = span_word(&made, " ");
	tell_new(a, path, line.p, &k);
	return ADMIN_DONE;
}

static int
run(struct admin *a, int argc, char **argv)
{
	char domain[ALABEL_DOMAIN] = "";
	if (argc > 1 && alabel_domain(span_of(argv[1]), domain) < 0)
		return admin_misused(a, "%s is no domain", argv[1]);
	if (strcmp(argv[0], "new") == 0)
		return argc > 1 ? make_key(a, domain) : admin_misused(a, "new DOMAIN");
	if (strcmp(argv[0], "record") == 0)
		return look_at_keys(a, domain, false);
	if (strcmp(argv[0], "check") == 0)
		return look_at_keys(a, domain, true);
	return admin_misused(a, "%s is none of new, record, check", argv[0]);
}

static const struct command_option options[] = {
	{ "selector", "NAME", "of the new key; default: by the day" },
	{ "ed25519", NULL, "the new key is of this kind, and not RSA" },
	{ "dir", "DIRECTORY", "where it is made; default: " KEY_DIRECTORY },
	{ NULL, NULL, NULL },
};

const struct command command_dkim = {
	.name = "dkim",
	.operands = "new DOMAIN | record [DOMAIN] | check [DOMAIN]",
	.what = "makes keys of DKIM, and says whether the DNS has them",
	.needs = NEEDS_CONF,
	.least = 1,
	.most = 2,
	.options = options,
	.run = run,
};
