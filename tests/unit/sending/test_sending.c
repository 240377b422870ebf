/*
 * sending: what becomes of jobs for each reply that a host may give, at each place, and where it
 * may close (R59, R60, F10, F12, L8, L9, M10).
 */
#include "tests/unit/sending/jobs.h"

#include <poll.h>
#include <signal.h>

enum { MANY = 100, LARGE = 4 * 1024 * 1024 };

/* ---- the table ------------------------------------------------------------------------------ */

struct row {
	const char *host; /* what it does beside what is usual (host.h) */
	const char *want[WAYS];
};

/* In lock step, in groups, in a window; and by LMTP in groups. */
static const struct row rows[] = {
	{ "",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "MAIL2=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "MAIL2=451 later",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL2=550 never",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL2=421 bye!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "MAIL2=421 bye",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "MAIL2=close",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=250 ok/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "MAIL2=999 odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=2x0 odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=25x odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=2500 odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "RCPT4=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "RCPT4=451 later",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT4=550 never",
		{ "A+DD A+DH A+DD", "A+DD A+DH A+DD", "A+DD A+DH A+DD", "A+DD A+DH A+DD" } },
	{ "RCPT4=421 bye!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "RCPT4=421 bye",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT4=close",
		{ "A+DD LSS USS", "A+DD LSS USS", "A+DD L+ss U+SS", "A+DD LSS USS" } },
	{ "RCPT4=250 ok/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "RCPT4=999 odd",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD L+ss U+SS", "A+DD USS USS" } },
	{ "DATA2=250-many/250 lines",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "DATA2=250 ok",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "DATA2=451 later",
		{ "A+DD ASS A+DD", "A+DD ASS A+DD", "A+DD A+DD A+DD", "A+DD ASS A+DD" } },
	{ "DATA2=550 never",
		{ "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD A+DD A+DD", "A+DD AHH A+DD" } },
	{ "DATA2=421 bye!",
		{ "A+DD ASS USS", "A+DD ASS USS", "A+DD A+DD A+DD", "A+DD ASS USS" } },
	{ "DATA2=421 bye",
		{ "A+DD ASS USS", "A+DD ASS USS", "A+DD A+DD A+DD", "A+DD ASS USS" } },
	{ "DATA2=close",
		{ "A+DD LSS USS", "A+DD LSS USS", "A+DD A+DD A+DD", "A+DD LSS USS" } },
	{ "DATA2=250 ok/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "DATA2=999 odd",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "END2=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "END2=451 later",
		{ "A+DD A+SS A+DD", "A+DD A+SS A+DD", "A+DD A+SS A+DD", "A+DS A+DD A+DD" } },
	{ "END2=550 never",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DH A+DD A+DD" } },
	{ "END2=421 bye!",
		{ "A+DD A+SS USS", "A+DD A+SS USS", "A+DD A+SS USS", "A+DS USS USS" } },
	{ "END2=421 bye",
		{ "A+DD A+SS USS", "A+DD A+SS USS", "A+DD A+SS USS", "A+DS USS USS" } },
	{ "END2=close",
		{ "A+DD L+ss USS", "A+DD L+ss USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "END2=250 ok/250 too many",
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+DD A+DD", "L+ss USS USS" } },
	{ "END2=250-ok/550 no",
		{ "A+DD L+ss USS", "A+DD L+ss USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "END2=999 odd",
		{ "A+DD L+ss USS", "A+DD L+ss USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "RSET1=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "RSET1=451 later",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "L+ss U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET1=550 never",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "L+ss U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET1=421 bye!",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD USS USS", "A+DD A+DD A+DD" } },
	{ "RSET1=421 bye",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD USS USS", "A+DD A+DD A+DD" } },
	{ "RSET1=close",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET1=250 ok/250 too many",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "RSET1=999 odd",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "MAIL1=421 bye!",
		{ "ASS USS USS", "ASS USS USS", "ASS USS USS", "ASS USS USS" } },
	{ "MAIL1=452 full",
		{ "ASS A+DD A+DD", "ASS A+DD A+DD", "ASS A+DD A+DD", "ASS A+DD A+DD" } },
	{ "MAIL2=452 full",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL1=550 no",
		{ "AHH A+DD A+DD", "AHH A+DD A+DD", "AHH A+DD A+DD", "AHH A+DD A+DD" } },
	{ "RCPT3=550 no|RCPT4=450 no",
		{ "A+DD AHS A+DD", "A+DD AHS A+DD", "A+DD AHS A+DD", "A+DD AHS A+DD" } },
	{ "RCPT4=452 many",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT3=452 many",
		{ "A+DD A+SD A+DD", "A+DD A+SD A+DD", "A+DD A+SD A+DD", "A+DD A+SD A+DD" } },
	{ "RCPT4=552 many",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	/* too many for the host, and nobody's fault (RFC 3463 X.5.3) */
	{ "DATA2=554 5.5.3 many",
		{ "A+DD ASS A+DD", "A+DD ASS A+DD", "A+DD A+DD A+DD", "A+DD ASS A+DD" } },
	{ "END2=550 Too many recipients",
		{ "A+DD A+SS A+DD", "A+DD A+SS A+DD", "A+DD A+SS A+DD", "A+DH A+DD A+DD" } },
	{ "RCPT4=550 no|END2=554 5.5.3 many",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DH A+DH A+DD" } },
	{ "RCPT3=550 no|RCPT4=550 no|DATA2=354 go",
		{ "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD LHH USS" } },
	{ "RCPT3=550 no|RCPT4=550 no|DATA1=354 go",
		{ "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD AHH A+DD" } },
	{ "DATA2=354 go/250 more",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "END3=550 no",
		{ "A+DD A+DD A+HH", "A+DD A+DD A+HH", "A+DD A+DD A+HH", "A+DD A+HD A+DD" } },
	{ "END3=452 no",
		{ "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD A+SD A+DD" } },
	{ "END3=close",
		{ "A+DD A+DD L+ss", "A+DD A+DD L+ss", "A+DD A+DD L+ss", "A+DD L+ss USS" } },
	{ "END4=close",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD L+Ds USS" } },
	{ "END3=421 bye!",
		{ "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD ASS USS" } },
	{ "RSET2=550 no",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "L+ss U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET2=close",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD U+SS", "A+DD A+DD A+DD" } },
	{ "MAIL2=250 ok/250 too many|END2=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DS USS USS" } },
	{ "MAIL2=452 full|RSET1=close",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=452 full|RSET2=close",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS U+SS", "A+DD USS USS" } },
	{ "RCPT4=550 no|RSET2=550 no",
		{ "A+DD A+DH A+DD", "A+DD A+DH A+DD", "L+ss U+SS U+SS", "A+DD A+DH A+DD" } },
	/* L10: of BDAT, 500 to 504 are about itself; and nothing is for good before it is in step */
	{ "END2=500 what?!",
		{ "A+DD A+HH USS", "A+DD A+HH USS", "A+DD A+SS U+SS", "A+DH USS USS" } },
	{ "END2=504 what?",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+SS A+DD", "A+DH A+DD A+DD" } },
	{ "END2=505 what?",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DH A+DD A+DD" } },
	{ "END2=554 no!",
		{ "A+DD A+HH USS", "A+DD A+HH USS", "A+DD A+SS U+SS", "A+DH USS USS" } },
	{ "END2=500 what?|RSET2=421 bye!",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+SS USS", "A+DH A+DD A+DD" } },
	/* L11: whose the refusal is, nobody knows */
	{ "RCPT3=250 ok/250 too many|RCPT4=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=250 ok/250 too many|RCPT4=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL1=250 ok/250 b|MAIL2=250 ok/250 b/250 c|RCPT4=550 no",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ "MAIL2=250 ok/250 b/250 c|RCPT3=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "RCPT4=550 no/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "END2=550 no/250 too many",
		{ "A+DD A+SS USS", "A+DD A+SS USS", "L+ss U+SS U+SS", "L+ss USS USS" } },
	{ "END2=250 yes/421 bye!",
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+DD USS", "A+DD USS USS" } },
	/* ... nor, in a window, whose the last yes is, if it is as that to a recipient */
	{ "MAIL1=250 ok/250 ok|END1=close",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ "END2=250 ok/421 bye!",
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD L+ss USS", "A+DD USS USS" } },
	{ "RCPT4=250 ok/250 ok|END2=421 bye!",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD L+ss USS", "A+DS USS USS" } },
	{ "RCPT4=250 ok/250 ok|END2=close",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "MAIL3=250 ok/250 more|RCPT5=250 2.1.5 a|RCPT6=250 2.1.5 b|END3=close",
		{ "A+DD A+DD LSS", "A+DD A+DD USS", "A+DD A+DD L+ss", "A+DD L+ss USS" } },
	{ "RSET3=250 ok/250 too many",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "HELLO1=503 twice|RCPT1=550 no",
		{ "A+HD A+DD A+DD", "A+HD A+DD A+DD", "A+SD A+DD A+DD", "A+HD A+DD A+DD" } },
	{ "HELLO1=421 bye!|RCPT1=550 no",
		{ "A+HD A+DD A+DD", "A+HD A+DD A+DD", "A+SD A+DD A+DD", "A+HD A+DD USS" } },
	{ "HELLO1=close|RCPT1=550 no",
		{ "A+HD A+DD A+DD", "A+HD A+DD A+DD", "A+SD A+DD A+DD", "A+HD A+DD USS" } },
	{ "RCPT1=550 no|RCPT2=550 no|DATA1=503 no!",
		{ "AHH AHH USS", "LSS USS USS", "AHH A+DD A+DD", "LSS USS USS" } },
	{ "MAIL1=550 no!",
		{ "AHH USS USS", "LSS USS USS", "LSS U+SS U+SS", "LSS USS USS" } },
	{ "RSET2=421 bye!",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD USS", "A+DD A+DD A+DD" } },
	/*
	 * L8: a MAIL that is refused by a connection that has taken one goes by another, whatever
	 * the code, and whatever became of the one before. The first of a connection counts.
	 */
	{ "MAIL2=503 enough",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL2=554 enough|MAIL3=554 enough",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "RCPT1=550 no|RCPT2=550 no|MAIL2=450 enough",
		{ "AHH USS USS", "AHH USS USS", "AHH USS A+DD", "AHH USS USS" } },
	{ "MAIL2=550 enough!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS U+SS", "A+DD USS USS" } },
	{ "MAIL1=550 no|MAIL2=550 no",
		{ "AHH AHH A+DD", "AHH AHH A+DD", "AHH AHH A+DD", "AHH AHH A+DD" } },
	/* ... and so does what is refused later, where the words name the connection */
	{ "RCPT3=" SPENT "|RCPT4=" SPENT,
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "RCPT3=550 no|RCPT4=" SPENT,
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "RCPT4=" SPENT,
		{ "A+DD A+DS USS", "A+DD A+DS USS", "A+DD A+DS A+DD", "A+DD A+DS USS" } },
	{ "DATA2=" SPENT,
		{ "A+DD USS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "END2=" SPENT,
		{ "A+DD USS USS", "A+DD USS A+DD", "A+DD USS A+DD", "A+DH A+DD A+DD" } },
	{ "END3=" SPENT "|END4=550 no",
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+DD USS", "A+DD USS USS" } },
	{ "END3=" SPENT,
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+SD USS" } },
	{ "RCPT1=" SPENT "|RCPT2=" SPENT,
		{ "AHH A+DD A+DD", "AHH A+DD A+DD", "AHH A+DD A+DD", "AHH A+DD A+DD" } },
	/* L9: closed before it was heard of the next one, having brought one to an end, any end. */
	{ "END1=451 later|MAIL2=close",
		{ "A+SS USS USS", "A+SS USS USS", "A+SS U+SS U+SS", "A+SD USS USS" } },
	{ "MAIL1=550 no|MAIL2=close",
		{ "AHH USS USS", "AHH USS USS", "ASS U+SS U+SS", "AHH USS USS" } },
	{ "MAIL1=close",
		{ "LSS USS USS", "LSS USS USS", "L+ss U+SS U+SS", "LSS USS USS" } },
	{ "RCPT3=421 bye!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "RCPT2=421 bye!",
		{ "ASS USS USS", "ASS USS USS", "ASS USS USS", "ASS USS USS" } },
	/* what came to nothing counts if RSET or the mark behind it came in its place (L11) */
	{ NOBODY "/250 more",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|HELLO1=503 twice/250 more",
		{ "AHH A+DD A+DD", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|HELLO1=503 twice",
		{ "AHH A+DD A+DD", "AHH A+DD A+DD", "ASS A+DD A+DD", "AHH A+DD A+DD" } },
	{ NOBODY "|RSET1=250 ok/250 more",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|RSET1=250-mx/250-PIPELINING/250 CHUNKING",
		{ "LSS USS USS", "USS USS USS", "AHH A+DD A+DD", "USS USS USS" } },
	{ NOBODY "|RSET1=354 go",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|RSET1=421 bye!",
		{ "AHH USS USS", "ASS USS USS", "ASS USS USS", "ASS USS USS" } },
	{ NOBODY "|RSET1=550 no",
		{ "AHH USS USS", "AHH A+DD A+DD", "L+ss U+SS U+SS", "AHH A+DD A+DD" } },
	{ NOBODY "|RSET1=550 no|HELLO1=503 twice",
		{ "AHH USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|RSET1=close",
		{ "AHH USS USS", "LSS USS USS", "ASS U+SS U+SS", "LSS USS USS" } },
	{ "END3=250 yes|END4=421 bye!",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DS USS" } },
};

static void
test_replies(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(rows); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++)
			check(way, rows[i].host, &m, rows[i].want[way]);
	close(m.fd);
}

/* A pause in which the host said goodbye: the connection is closed, and takes nothing more. */
static void
test_wake(void **state)
{
	(void)state;
	static const struct { const char *greeting; bool open; } cases[] = { { NULL, true },
		{ "421 too long", false }, { "close", false } };
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct host_script script = { .greeting = cases[i].greeting };
		connect_script(LOCK_STEP, &script, 1);
		if (!cases[i].open) {
			struct pollfd p = { .fd = l.fd, .events = POLLIN };
			assert_int_equal(poll(&p, 1, -1), 1);
		}
		link_wake(&l);
		assert_int_equal(sending_is_open(&l), cases[i].open);
		part();
	}
}

/* ---- a host that has enough ------------------------------------------------------------------ */

/*
 * In the middle of a text its 5yz counts, and nothing else does (F10, M10); whether it closes then,
 * or does neither that nor read on (S21): there is time until tomorrow. In a window the message is
 * for another connection, where DATA shows what the word is about.
 */
static void
test_in_the_middle(void **state)
{
	(void)state;
	static const struct { const char *host, *want, *windowed; } cases[] = {
		{ "TEXT1=552 too large!", "LHH", "USS" },
		{ "TEXT1=452 no room!", "LSS", "USS" },
		{ "TEXT1=421 bye!", "ASS", "ASS" },
		{ "TEXT1=250 fine!", "LSS", "USS" },
		{ "TEXT1=close", "LSS", "LSS" },
		{ "RCPT1=451 later|TEXT1=552 too large!", "LSH", "USS" },
		{ "TEXT1=552 too large~", "LHH", "USS" },
		{ "TEXT1=552-too/552 large~", "LHH", "USS" },
		{ "TEXT1=452 no room~", "LSS", "USS" },
		{ "TEXT1=421 bye~", "ASS", "ASS" },
		{ "TEXT1=250 fine~", "LSS", "USS" },
	};
	struct message m = make_message(LARGE);
	patient.timeout_data_block = 24 * 3600;
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way <= WINDOW; way++) {
			connect_to(way, cases[i].host, 1);
			if (way == WINDOW)
				l.terms.window = 2; /* or it goes in groups */
			check_first(cases[i].host, &m,
				way == WINDOW ? cases[i].windowed : cases[i].want);
			assert_false(sending_is_open(&l));
			part();
		}
	patient.timeout_data_block = 60;
	close(m.fd);
}

/* A file that ends too early: the host must not take it for whole, nor the next job for its end. */
static void
test_short_file(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY)), cut = make_message(strlen(BODY) / 2);
	cut.length = strlen(BODY);
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(way, NULL, JOBS);
		make_jobs(jobs, rcpt, &m);
		jobs[1].m = &cut;
		send_all(jobs, JOBS, got);
		assert_string_equal(got, "A+DD LSS USS");
		part();
		assert_true(host.text_n < strlen(BODY));
		free_jobs(rcpt);
	}
	close(m.fd);
	close(cut.fd);
}

/* ---- how many at once ------------------------------------------------------------------------ */

/* Jobs of this many recipients that are started before one has to land. */
static int
started_at_once(enum way way, int window, struct message *m, int n)
{
	static struct rcpt rcpt[MANY];
	static struct job jobs[MANY];
	int started = 0;
	connect_to(way, NULL, window);
	for (int i = 0; i < n; i++)
		rcpt[i] = make_rcpt("r@r.example");
	for (; started < MANY && !sending_full(&l); started++) {
		jobs[started] = (struct job){ .m = m };
		for (int i = 0; i < n; i++)
			assert_true(sending_add(&l, &jobs[started], &rcpt[i]));
		sending_start(&l, &jobs[started]);
	}
	assert_int_equal(sending_jobs(&l), started);
	assert_ptr_equal(sending_land(&l), &jobs[0]);
	assert_false(sending_full(&l)); /* there is room for one more now */
	for (int i = 1; i < started; i++)
		assert_ptr_equal(sending_land(&l), &jobs[i]);
	part();
	for (int i = 0; i < n; i++)
		buf_free(&rcpt[i].text);
	return started;
}

static void
test_window(void **state)
{
	(void)state;
	struct message m = make_message(40 * 1024), small = make_message(strlen(BODY));
	window_size = 64 * 1024;
	assert_int_equal(started_at_once(WINDOW, 50, &m, 1), 2); /* octets (M10) */
	window_size = 40 * 1024;
	assert_int_equal(started_at_once(WINDOW, 50, &m, 1), 1);
	window_size = 1 << 20;
	assert_int_equal(started_at_once(WINDOW, 7, &m, 1), 7); /* jobs */
	assert_int_equal(started_at_once(GROUPS, 3, &small, 1), 3);
	assert_int_equal(started_at_once(LOCK_STEP, 3, &small, 1), 1);
	assert_int_equal(started_at_once(WINDOW, 50, &small, 100), 10); /* 104 replies each (M10) */
	assert_int_equal(started_at_once(LMTP, 50, &small, 100), 5); /* 204 */
	assert_int_equal(started_at_once(WINDOW, 50, &small, 16), 50); /* 50 * 20 = 1000 */
	assert_int_equal(started_at_once(WINDOW, 51, &small, 16), 50);
	close(m.fd);
	close(small.fd);
}

/* RFC 9422: what the host told of a transaction, and of a connection. */
static void
test_limits(void **state)
{
	(void)state;
	struct rcpt a = { .address = span_of("a@one.example") };
	struct rcpt b = { .address = span_of("b@ONE.example") };
	struct rcpt other = { .address = span_of("c@two.example") };
	struct job j = { 0 };
	l.host = (struct link_host){ 0 };
	for (int i = 0; i < JOB_RCPTS; i++)
		assert_true(sending_add(&l, &j, &a));
	assert_false(sending_add(&l, &j, &a));
	j.n = 0;
	l.host.limit.rcpts = 2;
	assert_true(sending_add(&l, &j, &a) && sending_add(&l, &j, &b));
	assert_false(sending_add(&l, &j, &b));
	j = (struct job){ 0 };
	l.host = (struct link_host){ .limit.domains = 1 };
	assert_true(sending_add(&l, &j, &a));
	assert_false(sending_add(&l, &j, &other));
	assert_true(sending_add(&l, &j, &b));
	assert_int_equal(j.n, 2);
	assert_ptr_equal(j.to[1], &b);
}

static void
test_mails(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	struct message m = make_message(strlen(BODY));
	char got[128];
	connect_to(GROUPS, NULL, JOBS);
	l.host.limit.mails = 2;
	make_jobs(jobs, rcpt, &m);
	send_all(jobs, JOBS, got);
	assert_string_equal(got, "A+DD A+DD USS");
	assert_false(sending_is_open(&l));
	assert_true(l.fd >= 0);
	part();
	assert_non_null(strstr(host.log, "QUIT\n"));
	free_jobs(rcpt);
	close(m.fd);
}

/* ---- more about a recipient ------------------------------------------------------------------ */

static void
test_recipients(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		enum outcome outcome;
		bool grey, crowded;
	} cases[] = {
		{ NULL, DONE, false, false },
		{ "RCPT2=450 wait", SOFT, true, false },
		{ "RCPT2=451 wait", SOFT, true, false },
		{ "RCPT2=452 many", SOFT, false, true },
		{ "RCPT2=552 many", SOFT, false, true },
		{ "RCPT2=550 no", HARD, false, false },
		{ "RCPT2=550 5.5.3 many", SOFT, false, true },
		{ "RCPT2=554 Too many recipients", SOFT, false, true },
		{ "RCPT2=450 4.5.3 many", SOFT, false, true },
		{ "RCPT1=550 no|RCPT2=550 5.5.3 many", SOFT, false, false },
		{ "RCPT1=550 no|RCPT2=452 many", SOFT, false, false },
		{ "RCPT1=550 no|RCPT2=552 many", SOFT, false, false },
		{ "MAIL1=451 wait|RCPT2=451 wait", SOFT, false, false },
		{ "MAIL1=550 no|RCPT2=450 wait", HARD, false, false },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++) {
			struct rcpt rcpt[JOBS][RCPTS];
			struct job jobs[JOBS];
			char got[128];
			connect_to(way, cases[i].host, 2);
			make_jobs(jobs, rcpt, &m);
			send_all(jobs, 1, got);
			const struct rcpt *r = &rcpt[0][1];
			if (r->outcome != cases[i].outcome || r->grey != cases[i].grey ||
				r->crowded != cases[i].crowded)
				fail_msg("%s: %d %d %d", cases[i].host, (int)r->outcome, r->grey,
					r->crowded);
			assert_int_equal(r->taker.final, is_lmtp(way));
			assert_memory_equal(r->text.p, "mx: ", 4);
			free_jobs(rcpt);
			part();
		}
	close(m.fd);
}

/* Jobs that are given up without a word: all come back, and the link is as if it had none. */
static void
test_drop(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	struct message m = make_message(strlen(BODY));
	connect_to(WINDOW, NULL, JOBS);
	make_jobs(jobs, rcpt, &m);
	for (int j = 0; j < JOBS; j++)
		sending_start(&l, &jobs[j]);
	link_close(&l);
	for (int j = 0; j < JOBS; j++)
		assert_ptr_equal(sending_drop(&l), &jobs[j]);
	assert_null(sending_drop(&l));
	assert_int_equal(l.flow.jobs + l.flow.replies, 0);
	assert_int_equal(l.flow.octets, 0);
	free_jobs(rcpt);
	part();
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_in_the_middle),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_mails),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_drop),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
