/* calls: the command lines of programs that call sendmail. */
#include "tests/unit/unit.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "submit/calls.h"

/* "mode flags|sender|name|notify|ret|envid|recipients" of a command line; blanks part its words. */
static void
describe(const char *line, struct buf *out)
{
	static const char *const modes[] = { [CALLS_SEND] = "send", [CALLS_SMTP] = "smtp",
		[CALLS_VERIFY] = "verify", [CALLS_LIST] = "list", [CALLS_ALIASES] = "aliases",
		[CALLS_FLUSH] = "flush", [CALLS_HELP] = "help", [CALLS_VERSION] = "version" };
	static char text[1000];
	char *argv[50];
	int argc = 0;
	struct calls c;
	struct span rest = span_of(line);
	size_t at = 0;
	for (struct span word; (word = span_word(&rest, " ")).n > 0;) {
		argv[argc++] = text + at;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s",
			span_eq(word, span_of("''")) ? 0 : (int)word.n, word.p) + 1;
	}
	argv[argc] = NULL;
	optind = 0; /* begins anew */
	calls_read(&c, argc, argv);
	buf_reset(out);
	buf_printf(out, "%s %s%s%s%s|%s|%s|%s|%s|%s|", modes[c.mode], c.from_header ? "t" : "",
		c.dots ? "i" : "", c.plain ? "n" : "", c.verbose ? "v" : "",
		c.sender != NULL ? c.sender : "-", c.name != NULL ? c.name : "-",
		c.notify != NULL ? c.notify : "-", c.ret != NULL ? c.ret : "-", c.envid);
	for (char **r = c.recipients; *r != NULL; r++)
		buf_printf(out, " %s", *r);
	if (c.wrong[0] != '\0')
		buf_printf(out, " WRONG %s", c.wrong);
}

static const struct {
	const char *line, *want;
} rows[] = {
	{ "sendmail a@b", "send |-|-|-|-|| a@b" },
	{ "/usr/sbin/sendmail -t -i", "send ti|-|-|-|-||" },           /* PHP */
	{ "sendmail -t -i -fbounce@x", "send ti|bounce@x|-|-|-||" },   /* ... with a fifth argument */
	{ "sendmail -i -FCronDaemon -B8BITMIME -oem root", "send i|-|CronDaemon|-|-|| root" }, /* cron */
	{ "sendmail -FCronDaemon -odi -oem -oi -t -f root", "send ti|root|CronDaemon|-|-||" },
	{ "sendmail -oem -oi -- a b", "send i|-|-|-|-|| a b" },        /* mutt */
	{ "sendmail -oem -oi -f joe@x -- a", "send i|joe@x|-|-|-|| a" },
	{ "sendmail -i a@b c@d", "send i|-|-|-|-|| a@b c@d" },         /* git send-email */
	{ "sendmail -t", "send t|-|-|-|-||" },                         /* mdadm */
	{ "sendmail -i -- a", "send i|-|-|-|-|| a" },                  /* s-nail */
	{ "sendmail -i -r joe@x -- a", "send i|joe@x|-|-|-|| a" },
	{ "sendmail -oi -om -oee -od b -odq -oQ/tmp a", "send i|-|-|-|-|| b a" },
	{ "sendmail a -f me@x b", "send |me@x|-|-|-|| a b" },          /* in any order */
	{ "sendmail a -- -f", "send |-|-|-|-|| a -f" },
	{ "sendmail -f '' a", "send ||-|-|-|| a" },
	{ "sendmail -f <> a", "send |<>|-|-|-|| a" },
	{ "sendmail -N never a", "send |-|-|never|-|| a" },
	{ "sendmail -Nsuccess,delay -Rhdrs -V id a", "send |-|-|success,delay|HDRS|id| a" },
	{ "sendmail -R full a", "send |-|-|-|FULL|| a" },
	{ "sendmail -V a+b=c a", "send |-|-|-|-|a+2Bb+3Dc| a" },
	{ "sendmail -v -n -G -U -m a", "send nv|-|-|-|-|| a" },
	{ "sendmail -A c -C /x -D log -d0.1 -e m -h 3 -L tag -M id -p SMTP -T x -X log -x y a",
		"send |-|-|-|-|| a" },
	{ "sendmail -O DeliveryMode=b -OErrorMode=m -O IgnoreDots=true a", "send i|-|-|-|-|| a" },
	{ "sendmail -O AuthSubmit a", "send |-|-|-|-|| a" },
	{ "sendmail -bm a", "send |-|-|-|-|| a" },
	{ "sendmail -bs", "smtp |-|-|-|-||" },
	{ "sendmail -bv a", "verify |-|-|-|-|| a" },
	{ "sendmail -bp", "list |-|-|-|-||" },
	{ "/usr/bin/mailq", "list |-|-|-|-||" },
	{ "mailq -v", "list v|-|-|-|-||" },
	{ "sendmail -bi", "aliases |-|-|-|-||" },
	{ "sendmail -I", "aliases |-|-|-|-||" },
	{ "newaliases", "aliases |-|-|-|-||" },
	{ "sendmail -q", "flush |-|-|-|-||" },
	{ "sendmail -qRexample.org", "flush |-|-|-|-||" },
	{ "runq", "flush |-|-|-|-||" },
	{ "sendmail --help", "help |-|-|-|-||" },
	{ "sendmail --version", "version |-|-|-|-||" },
	{ "sendmail -q15m",
		"flush |-|-|-|-|| WRONG there is no daemon; postern-due.timer looks for mail that is due: -q" },
	{ "sendmail -bd -q30m", "flush |-|-|-|-|| WRONG there is no daemon; postern.socket listens: -bd" },
	{ "sendmail -bt", "send |-|-|-|-|| WRONG no such mode: t" },
	{ "sendmail -Z a", "send |-|-|-|-|| a WRONG no such option: -Z" },
	{ "sendmail --bad a", "send |-|-|-|-|| a WRONG no such option: --" },
	{ "sendmail a -f", "send |-|-|-|-|| a WRONG a value is missing: -f" },
	{ "sendmail -N sometimes a",
		"send |-|-|sometimes|-|| a WRONG -N is not never, nor of success, failure, delay: sometimes" },
	{ "sendmail -R some a", "send |-|-|-|-|| a WRONG -R is neither full nor hdrs: some" },
	{ "sendmail -B 9BIT a", "send |-|-|-|-|| a WRONG -B is neither 7BIT nor 8BITMIME: 9BIT" },
	{ "sendmail -V '' a", "send |-|-|-|-|| a WRONG -V is no id: " },
};

static void
test_lines(void **state)
{
	(void)state;
	struct buf got = buf_new(1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		describe(rows[i].line, &got);
		if (!span_eq(buf_span(&got), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].line, (int)got.n, got.p);
	}
	buf_free(&got);
}

/* An environment may want operands last, of all programs; then "-f" would be a recipient. */
static void
test_lines_for_posix(void **state)
{
	assert_int_equal(setenv("POSIXLY_CORRECT", "1", 1), 0);
	test_lines(state);
	(void)unsetenv("POSIXLY_CORRECT");
}

/* -q and a letter: some of what waits. What is not understood must not become all of it. */
static void
test_choice(void **state)
{
	(void)state;
	static const struct {
		const char *word, *by, *what, *wrong;
	} choices[] = {
		{ "-q", NULL, NULL, "" },
		{ "-qf", NULL, NULL, "" },
		{ "-qRexample.org", "to", "example.org", "" },
		{ "-qR@example.org", "to", "example.org", "" },
		{ "-qSjoe@x.example", "from", "joe@x.example", "" },
		{ "-qI06ab4c2d8f00xyzabc01", "id", "06ab4c2d8f00xyzabc01", "" },
		{ "-qR", NULL, NULL, "-q: what waits cannot be chosen by this: R" },
		{ "-qR@", NULL, NULL, "-q: what waits cannot be chosen by this: R@" },
		{ "-q!Rexample.org", NULL, NULL, "-q: what waits cannot be chosen by this: !Rexample.org" },
		{ "-qGgroup", NULL, NULL, "-q: what waits cannot be chosen by this: Ggroup" },
	};
	for (size_t i = 0; i < ROWS(choices); i++) {
		char name[] = "sendmail", word[100];
		char *argv[] = { name, word, NULL };
		struct calls c;
		snprintf(word, sizeof(word), "%s", choices[i].word);
		optind = 0;
		calls_read(&c, 2, argv);
		assert_int_equal(c.mode, CALLS_FLUSH);
		assert_string_equal(c.wrong, choices[i].wrong);
		assert_true((c.chosen_by == NULL) == (choices[i].by == NULL));
		if (c.chosen_by != NULL) {
			assert_string_equal(c.chosen_by, choices[i].by);
			assert_string_equal(c.chosen, choices[i].what);
		}
	}
}

/* Whose values hold what a line cannot. */
static const struct {
	const char *option, *value;
	const char *envid, *wrong;
} values[] = {
#define A25 "aaaaaaaaaaaaaaaaaaaaaaaaa"
	{ "-V", "x y", "x+20y", "" },
	{ "-V", A25 A25 A25 A25, A25 A25 A25 A25, "" },
	{ "-V", A25 A25 A25 A25 "a", "", "-V is longer than 100 octets: " },
	{ "-V", "x\r\nRSET", "", "-V is no id: x\\x0d\\x0aRSET" },
	{ "-N", "never\r\nRSET", "", "-N is not never" },
	{ "-R", "full\r\nRSET", "", "-R is neither" },
	{ "-B", "7BIT X", "", "-B is neither" },
};

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(values); i++) {
		char name[] = "sendmail", option[3], value[200];
		char *argv[] = { name, option, value, NULL };
		struct calls c;
		snprintf(option, sizeof(option), "%s", values[i].option);
		snprintf(value, sizeof(value), "%s", values[i].value);
		optind = 0;
		calls_read(&c, 3, argv);
		assert_string_equal(c.envid, values[i].envid);
		if (strncmp(c.wrong, values[i].wrong, strlen(values[i].wrong)) != 0 ||
			(values[i].wrong[0] == '\0' && c.wrong[0] != '\0'))
			fail_msg("%s: %s", values[i].value, c.wrong);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_for_posix),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
