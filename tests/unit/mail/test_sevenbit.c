/* sevenbit: what is converted and how, and what is not (A21, R67, R68). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "mail/sevenbit.h"

/* A text between quotes, which may hold NUL. */
#define OF(literal) { literal, sizeof(literal) - 1 }

#define V    "MIME-Version: 1.0\r\n"
#define CTE  "Content-Transfer-Encoding: "
#define QP   CTE "quoted-printable\r\n"
#define B64  CTE "base64\r\n"
#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"
#define DATA "Content-Type: application/octet-stream\r\n"
#define MIX  V "Content-Type: multipart/mixed; boundary=b\r\n"
#define OLD  V "Content-Type: text/plain; charset=unknown-8bit\r\n" QP

#define X10  "xxxxxxxxxx"
#define X70  X10 X10 X10 X10 X10 X10 X10
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X998 X100 X100 X100 X100 X100 X100 X100 X100 X100 X70 X10 X10 "xxxxxxxx"

/* want: what comes out; empty: why it cannot be */
struct row {
	const char *name;
	struct span in, want;
	const char *why;
};

#define SAME(name, in)        { name, OF(in), OF(in), NULL }
#define MADE(name, in, want)  { name, OF(in), OF(want), NULL }
#define NOT(name, in, why)    { name, OF(in), { "", 0 }, why }

static const char in_header[] = "8-bit octets in a header field";
static const char broken_line[] = "a line of a header is not whole";
static const char no_field[] = "a line of a header is not a field";
static const char twice[] = "a MIME field occurs twice";
static const char miscoded[] = "a part is not encoded as it says";
static const char sealed[] = "a part that may not be changed cannot be sent as it is";
static const char unknown[] = "a part whose MIME fields are not understood cannot be sent as it is";
static const char missing[] = "a boundary is missing";
static const char outside[] = "what stands outside of the parts cannot be sent as it is";
static const char same[] = "two multiparts have the same boundary";
static const char false_end[] = "the end of a boundary line is not CRLF";
static const char false_start[] = "a boundary line does not follow CRLF";

static const struct row rows[] = {
	SAME("nothing", ""),
	SAME("7-bit", "A: b\r\n\r\nhello\r\n"),
	SAME("header only", "A: b\r\n"),
	SAME("no last line end", "\r\nhello"),

	/* single parts */
	MADE("no MIME", "A: b\r\n\r\n\xe4\r\n", "A: b\r\n" OLD "\r\n=E4\r\n"),
	MADE("blanks before the colon", "A \t: b\r\n\r\n\xe4\r\n", "A \t: b\r\n" OLD "\r\n=E4\r\n"),
	MADE("no header", "\r\n\xe4\r\n", OLD "\r\n=E4\r\n"),
	MADE("no type", V "\r\n\xe4\r\n", V QP "\r\n=E4\r\n"),
	MADE("8bit", V TEXT CTE "8bit\r\nA: b\r\n\r\n\xc3\xa4=\r\n",
		V TEXT "A: b\r\n" QP "\r\n=C3=A4=3D\r\n"),
	MADE("8bit that is not", V TEXT CTE "8BIT (sic)\r\n\r\nhello\r\n",
		V TEXT CTE "7bit\r\n\r\nhello\r\n"),
	MADE("7bit that is not", V TEXT CTE "7bit\r\n\r\n\xe4\r\n", V TEXT QP "\r\n=E4\r\n"),
	MADE("folded fields", V "content-type:\r\n\ttext/plain\r\n" CTE "\r\n 8bit\r\n\r\n\xe4\r\n",
		V "content-type:\r\n\ttext/plain\r\n" QP "\r\n=E4\r\n"),
	MADE("data", V DATA CTE "binary\r\n\r\n\0\xff\n", V DATA B64 "\r\nAP8K\r\n"),
	MADE("text with NUL", V TEXT "\r\n\0\xff", V TEXT B64 "\r\nAP8=\r\n"),
	MADE("text with bare CR", V TEXT "\r\na\rb\r\n", V TEXT B64 "\r\nYQ1iDQo=\r\n"),
	MADE("text with bare LF", V TEXT "\r\na\nb", V TEXT B64 "\r\nYQpi\r\n"),
	SAME("line of 998", "\r\n" X998 "\r\n"),
	SAME("line of 998 without an end", "\r\n" X998),
	SAME("encoded", V TEXT QP "\r\n=E4\r\n"),
	SAME("encoded oddly", V TEXT CTE "x-uu\r\n\r\nabc\r\n"),

	/* L59a: without a version it is read as if there were one, which is added */
	MADE("type without version", "A: b\r\n" TEXT "\r\n\xc3\xa4\r\n",
		"A: b\r\n" TEXT V QP "\r\n=C3=A4\r\n"),
	MADE("encoding without version", CTE "8bit\r\n\r\n\xe4\r\n", V QP "\r\n=E4\r\n"),
	MADE("version twice", V V TEXT "\r\n\xe4\r\n", V V TEXT QP "\r\n=E4\r\n"),
	MADE("no version that is one", "MIME-Version:\r\nMIME-Version: 1\r\nMIME-Version: 1.0;\r\n"
		"MIME-Version: 1.0\r\n x\r\n" TEXT "\r\n\xe4\r\n", TEXT V QP "\r\n=E4\r\n"),
	MADE("one version that is none", "MIME-Version: x\r\n" V TEXT "\r\n\xe4\r\n",
		"MIME-Version: x\r\n" V TEXT QP "\r\n=E4\r\n"),
	MADE("a version and nothing else", "MIME-Version: 1\r\n\r\n\xe4\r\n", OLD "\r\n=E4\r\n"),
	MADE("text, and nothing more", "Content-Type: text\r\n\r\n\xe4\r\n",
		"Content-Type: text\r\n" V QP "\r\n=E4\r\n"),
	MADE("text without a semicolon", V "Content-Type: text/plain charset=x\r\n" CTE "8-bit\r\n\r\n"
		"\xe4\r\n", V "Content-Type: text/plain charset=x\r\n" QP "\r\n=E4\r\n"),
	SAME("no version, and no need", "MIME-Version: 1\r\n" TEXT "\r\nhello\r\n"),
	MADE("data without version", DATA "\r\n\xff\r\n", DATA V B64 "\r\n/w0K\r\n"),
	MADE("parts without version", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" TEXT
		"\r\n\xe4\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n" V "\r\n--b\r\n" TEXT QP
		"\r\n=E4\r\n--b--\r\n"),
	MADE("8bit parts without version", "Content-Type: multipart/mixed; boundary=b\r\n" CTE
		"8bit\r\n\r\n--b\r\n" TEXT "\r\n\xe4\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n" V CTE "7bit\r\n\r\n--b\r\n" TEXT QP
		"\r\n=E4\r\n--b--\r\n"),
	MADE("message without version in another", V "Content-Type: message/rfc822\r\n\r\n" TEXT
		"\r\n\xe4\r\n", V "Content-Type: message/rfc822\r\n\r\n" TEXT V QP "\r\n=E4\r\n"),
	SAME("encoded without version", TEXT QP "\r\n=E4\r\n"),
	SAME("7-bit without version", TEXT "\r\nhello\r\n"),

	/* ... and so with other things that only the form is wrong of */
#define ANY(name, was) MADE(name, V TEXT CTE was "\r\n\r\n\xe4\r\n", V TEXT QP "\r\n=E4\r\n")
	ANY("charset as encoding", "utf-8"),
	ANY("another charset", "ISO-8859-1"),
	ANY("8bits", "8bits"),
	ANY("8", "8"),
	ANY("8bit;", "8bit;"),
	ANY("8bit in quotes", "\"8bit\""),
	ANY("plain", "plain"),
	ANY("empty encoding", ""),
	ANY("two encodings that are none", "8bit 7bit"),
	MADE("unknown encoding of no type", V CTE "utf-8\r\n\r\n\xe4\r\n", V QP "\r\n=E4\r\n"),
	MADE("unknown encoding of parts", MIX CTE "utf-8\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n",
		MIX CTE "utf-8\r\n\r\n--b\r\n" QP "\r\n=E4\r\n--b--\r\n"),
	SAME("unknown encoding of 7 bits", V TEXT CTE "utf-8\r\n\r\nx\r\n"),
	MADE("quoted-printable, but for some", V TEXT QP "\r\na=E4\xe4=\r\n\xe4 \r\n-=3D\r\n",
		V TEXT QP "\r\na=E4=E4=\r\n=E4 \r\n-=3D\r\n"),
	MADE("quoted-printable;", V TEXT CTE "quoted-printable;\r\n\r\n\xe4=3D\r\n",
		V TEXT CTE "quoted-printable;\r\n\r\n=E4=3D\r\n"),
	MADE("quoted-printable without a version", TEXT QP "\r\n\xe4", TEXT QP V "\r\n=E4"),
	MADE("type twice", V TEXT "Content-Type: text/html\r\n\r\n\xe4\r\n",
		V TEXT "Content-Type: text/html\r\n" QP "\r\n=E4\r\n"),
	MADE("multipart twice", MIX "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n",
		MIX "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" QP "\r\n=E4\r\n--b--\r\n"),
	MADE("encoding twice", V TEXT CTE "8bit\r\n" CTE "8BIT\r\n\r\n\xe4\r\n", V TEXT QP "\r\n=E4\r\n"),
	MADE("another version", "MIME-Version: 2.0\r\n" TEXT "\r\n\xe4\r\n", TEXT V QP "\r\n=E4\r\n"),
	MADE("a later version", "MIME-Version: 1.1\r\n" TEXT "\r\n\xe4\r\n", TEXT V QP "\r\n=E4\r\n"),
	MADE("version before a blank", "MIME-Version : 1.0\r\n" TEXT "\r\n\xe4\r\n",
		"MIME-Version : 1.0\r\n" TEXT V QP "\r\n=E4\r\n"),
	MADE("empty type", V "Content-Type:\r\n\r\n\xe4\r\n", V "Content-Type:\r\n" QP "\r\n=E4\r\n"),
	MADE("charset as type", V "Content-Type: charset=utf-8\r\n\r\n\xe4\r\n",
		V "Content-Type: charset=utf-8\r\n" QP "\r\n=E4\r\n"),
	MADE("empty type in a digest", V "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: \r\n\r\nA: b\r\n\r\n\xe4\r\n--b--\r\n",
		V "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: \r\n\r\nA: b\r\n" OLD "\r\n=E4\r\n--b--\r\n"),
	MADE("lines of a mailbox", "From a@b.example Tue\r\n>From x\r\nA: b\r\n\r\n\xe4\r\n",
		"From a@b.example Tue\r\n>From x\r\nA: b\r\n" OLD "\r\n=E4\r\n"),
	MADE("a long line of a header", "A:" X998 "\r\nB:" X998 X998 "\r\n\r\n\xe4\r\n",
		"A:" X998 "\r\nB:" X998 X998 "\r\n" OLD "\r\n=E4\r\n"),
	MADE("never ends", MIX "\r\n--b\r\n\r\n\xe4\r\n", MIX "\r\n--b\r\n" QP "\r\n=E4\r\n"),
	MADE("inner one never ends", MIX "\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
		"--c\r\n\r\n\xe4\r\n--b\r\n\r\n\xe4\r\n--b--\r\n",
		MIX "\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
		"--c\r\n" QP "\r\n=E4\r\n--b\r\n" QP "\r\n=E4\r\n--b--\r\n"),
	SAME("never begins, 7-bit", MIX "\r\nx\r\n"),
	SAME("no header end", MIX),
	MADE("preamble", MIX "\r\n\xe4=\r\n-\r\n--b\r\n\r\n--b--\r\n",
		MIX "\r\n=E4=3D\r\n=2D\r\n--b\r\n\r\n--b--\r\n"),
	MADE("epilogue", MIX "\r\n--b\r\n\r\n--b--\r\n\xe4\r\n", MIX "\r\n--b\r\n\r\n--b--\r\n=E4\r\n"),

	/* quoted-printable */
	MADE("blanks at the end", "\r\n\xe4 \r\na\t\r\n \r\n", OLD "\r\n=E4=20\r\na=09\r\n=20\r\n"),
	MADE("no last line end, 8-bit", "\r\n\xe4", OLD "\r\n=E4=\r\n"),
	MADE("dash", "\r\n--\xe4\r\n-\r\n", OLD "\r\n=2D-=E4\r\n=2D\r\n"),
	MADE("long line", "\r\n\xe4" X70 "1234\r\n", OLD "\r\n=E4" X70 "=\r\n1234\r\n"),
	MADE("long line, dash", "\r\n\xe4" X70 "-\r\n", OLD "\r\n=E4" X70 "=\r\n=2D\r\n"),

	/* multiparts */
	MADE("parts", MIX CTE "8bit\r\n\r\npre\r\n--b\r\n" TEXT "\r\n\xe4\r\n--b \t\r\n" DATA CTE
		"8bit\r\n\r\n\xff\r\n--b\r\n\r\nstays\r\n--b--\r\nafter\r\n",
		MIX CTE "7bit\r\n\r\npre\r\n--b\r\n" TEXT QP "\r\n=E4\r\n--b \t\r\n" DATA B64
		"\r\n/w==\r\n--b\r\n\r\nstays\r\n--b--\r\nafter\r\n"),
	MADE("the last line end is the boundary's", MIX "\r\n--b\r\n" DATA "\r\n\xff\r\n\r\n--b--",
		MIX "\r\n--b\r\n" DATA B64 "\r\n/w0K\r\n--b--"),
	MADE("parts without content", MIX "\r\n--b\r\n--b\r\n" TEXT "--b\r\n\r\n--b\r\n\r\n\r\n--b\r\n"
		TEXT CTE "8bit\r\n--b--\r\n",
		MIX "\r\n--b\r\n--b\r\n" TEXT "--b\r\n\r\n--b\r\n\r\n\r\n--b\r\n" TEXT CTE
		"7bit\r\n--b--\r\n"),
	MADE("boundary in quotes", V "Content-Type: multipart/x; a=\"b\\\"\"; BOUNDARY=\"a b\" (c);\r\n"
		"\r\n--a b\r\n\r\n\xe4\r\n--a b--\r\n",
		V "Content-Type: multipart/x; a=\"b\\\"\"; BOUNDARY=\"a b\" (c);\r\n"
		"\r\n--a b\r\n" QP "\r\n=E4\r\n--a b--\r\n"),
	MADE("boundary that should be in quotes", V "Content-Type: multipart/x;boundary==_:/?\r\n\r\n"
		"--=_:/?\r\n\r\n\xe4\r\n--=_:/?--\r\n",
		V "Content-Type: multipart/x;boundary==_:/?\r\n\r\n"
		"--=_:/?\r\n" QP "\r\n=E4\r\n--=_:/?--\r\n"),
	MADE("boundary that begins another", MIX "\r\n--b\r\nContent-Type: multipart/x; boundary=bb\r\n"
		"\r\n--bb\r\n\r\n--b-\xe4\r\n--bb--\r\n--b--\r\n",
		MIX "\r\n--b\r\nContent-Type: multipart/x; boundary=bb\r\n"
		"\r\n--bb\r\n" QP "\r\n=2D-b-=E4\r\n--bb--\r\n--b--\r\n"),

	/* messages in messages */
	MADE("message", V "Content-Type: message/rfc822\r\n" CTE "8bit\r\n\r\n" V TEXT "\r\n\xe4\r\n",
		V "Content-Type: message/rfc822\r\n" CTE "7bit\r\n\r\n" V TEXT QP "\r\n=E4\r\n"),
	MADE("old message", V "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\xe4\r\n",
		V "Content-Type: message/rfc822\r\n\r\nA: b\r\n" OLD "\r\n=E4\r\n"),
	MADE("digest", V "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\n\xe4"
		"\r\n--b\r\n" TEXT "\r\n\xe4\r\n--b--\r\n",
		V "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n" OLD "\r\n=E4"
		"\r\n--b\r\n" TEXT QP "\r\n=E4\r\n--b--\r\n"),

	/* what may not be touched */
	MADE("signed, 7-bit", MIX "\r\n--b\r\n\r\n\xe4\r\n--b\r\nContent-Type: multipart/signed\r\n\r\n"
		"--s\r\n" CTE "8bit\r\n\r\nx\r\n--s--\r\n\r\n--b--\r\n",
		MIX "\r\n--b\r\n" QP "\r\n=E4\r\n--b\r\nContent-Type: multipart/signed\r\n\r\n"
		"--s\r\n" CTE "8bit\r\n\r\nx\r\n--s--\r\n\r\n--b--\r\n"),
	NOT("signed", V "Content-Type: multipart/signed; boundary=b\r\n\r\n\xe4\r\n", sealed),
	NOT("encrypted", V "Content-Type: multipart/encrypted; boundary=b\r\n\r\n\xe4\r\n", sealed),
	NOT("fragment", V "Content-Type: message/partial; id=a; number=1\r\n\r\n\xe4\r\n", sealed),
	NOT("elsewhere", V "Content-Type: message/external-body\r\n\r\n\xe4\r\n", sealed),
	NOT("base64, with 8-bit", V TEXT B64 "\r\n\xe4\r\n", miscoded),
	NOT("encoded in a way of its own", V TEXT CTE "x-uu\r\n\r\n\xe4\r\n", miscoded),
	NOT("perhaps encoded", V TEXT CTE "8bit, base64\r\n\r\n\xe4\r\n", miscoded),
	NOT("data of an unknown encoding", V DATA CTE "utf-8\r\n\r\n\xe4\r\n", miscoded),
	NOT("encoded multipart", MIX QP "\r\n--b\r\n\r\n\xe4\r\n--b--\r\n", miscoded),
	NOT("NUL in a preamble", MIX "\r\n\0\r\n--b\r\n\r\n--b--\r\n", outside),
	NOT("LF in an epilogue", MIX "\r\n--b\r\n\r\n--b--\r\nx\ny\r\n", outside),

	/* headers */
	MADE("8-bit header", "A: \xe4\r\n\r\n", "A: =?unknown-8bit?Q?=E4?=\r\n\r\n"),
	MADE("8-bit header without a body", "A: b\r\n \xc3\xa4\r\n", "A: b\r\n =?utf-8?Q?=C3=A4?=\r\n"),
	MADE("8-bit header of a part", MIX "\r\n--b\r\nContent-Type: text/x; name=\xc3\xa4\r\n\r\n\xe4\r\n--b--\r\n",
		MIX "\r\n--b\r\nContent-Type: text/x;\r\n name*=utf-8''%C3%A4\r\n" QP "\r\n=E4\r\n--b--\r\n"),
	MADE("8-bit header that goes", "MIME-Version: \xe4\r\n" TEXT "\r\n\xe4\r\n", TEXT V QP "\r\n=E4\r\n"),
	NOT("8-bit address", "From: \xe4@b.example\r\n\r\n", in_header),
	NOT("8-bit line that is no field", "A\xe4: b\r\n\r\n", no_field),
	NOT("8-bit line of a mailbox", "From \xe4: b\r\n\r\n", in_header),
	NOT("bare LF", "A: b\n\r\n\xe4", broken_line),
	NOT("bare CR", "A: b\rB: c\r\n\r\n\xe4", broken_line),
	NOT("NUL", "A: \0\r\n\r\n\xe4", broken_line),
	NOT("torn", "A: b", broken_line),
	NOT("no field", "hello\r\n\r\n\xe4", no_field),
	NOT("blank before the colon", "Content-Type : text/plain\r\n\r\n\xe4", no_field),
	NOT("tab before the colon", "content-transfer-encoding\t: 8bit\r\n\r\n\xe4", no_field),
	NOT("blanks and no colon", "Fromage a@b.example\r\n\r\n\xe4", no_field),
	NOT("blanks at the end", "A  \r\n\r\n\xe4", no_field),
	NOT("blanks and no name", ": b\r\n\r\n\xe4", no_field),
	NOT("begins folded", " A: b\r\n\r\n\xe4", no_field),
	NOT("two types", V TEXT DATA "\r\n\xe4", twice),
	NOT("two multiparts in one", MIX "Content-Type: multipart/mixed; boundary=c\r\n\r\n--b\r\n\r\n\xe4\r\n",
		twice),
	NOT("two codings", V TEXT QP CTE "8bit\r\n\r\n\xe4", twice),
	NOT("encoded without version, and not so", TEXT B64 "\r\n\xe4", miscoded),
	NOT("half a type without version", "Content-Type: data\r\n\r\n\xe4", unknown),
	NOT("half a type", V "Content-Type: data\r\n\r\n\xe4", unknown),
	NOT("more than a type", V "Content-Type: application/x name=x\r\n\r\n\xe4", unknown),
	NOT("open comment", V "Content-Type: (text/plain\r\n\r\n\xe4", unknown),

	/* boundaries */
	NOT("no boundary", V "Content-Type: multipart/mixed\r\n\r\n\xe4", unknown),
	NOT("empty boundary", V "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n\xe4", unknown),
	NOT("long boundary", V "Content-Type: multipart/mixed; boundary=" X70 "x\r\n\r\n\xe4", unknown),
	NOT("two boundaries", V "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n\xe4",
		unknown),
	NOT("boundary in pieces", V "Content-Type: multipart/mixed; boundary*0=b\r\n\r\n\xe4", unknown),
	NOT("boundary in two ways", V "Content-Type: multipart/mixed; boundary=b; boundary*=c\r\n\r\n"
		"--b\r\n\r\n\xe4\r\n--b--\r\n", unknown),
	NOT("boundary that ends with a blank", V "Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n"
		"--b \r\n\r\n\xe4\r\n--b --\r\n", unknown),
	NOT("open quotes", V "Content-Type: multipart/mixed; boundary=\"b\r\n\r\n\xe4", unknown),
	NOT("never begins", MIX "\r\n\xe4\r\n", missing),
	NOT("the same twice", MIX "\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		"--b\r\n\r\n\xe4\r\n--b--\r\n--b--\r\n", same),
	NOT("LF behind", MIX "\r\n--b\r\n\r\nx\r\n--b\n\r\n\r\n--b--\r\n", false_end),
	NOT("LF before", MIX "\r\n--b\r\n\r\nx\n--b--\r\n", false_start),
};

/* ---- */

struct source {
	struct span text;
	size_t most; /* octets of one read */
	uint64_t broken; /* where reading fails */
	int *reads;
};

static ssize_t
read_source(const void *ctx, uint64_t offset, char *p, size_t n)
{
	const struct source *s = ctx;
	struct span rest = span_skip(s->text, (size_t)offset);
	if (n > rest.n)
		n = rest.n;
	if (n > s->most)
		n = s->most;
	if (offset + n > s->broken)
		return -EIO;
	memcpy(p, rest.p, n);
	if (s->reads != NULL)
		++*s->reads;
	return (ssize_t)n;
}

static int
collect(void *target, struct span piece)
{
	struct buf *b = target;
	buf_add(b, piece);
	return b->err;
}

static struct source
whole(struct span text)
{
	return (struct source){ text, SIZE_MAX, UINT64_MAX, NULL };
}

static int
convert(struct source s, struct buf *out, const char **why)
{
	buf_reset(out);
	return sevenbit_convert(read_source, &s, collect, out, why);
}

static void
check(const struct row *row, size_t most)
{
	struct source s = { guarded(row->in), most, UINT64_MAX, NULL };
	struct buf out = buf_new(16 * 1024);
	const char *why = NULL, *before = NULL;
	uint64_t length = 0;
	int r = convert(s, &out, &why);
	assert_int_equal(sevenbit_check(read_source, &s, &length, &before), r);
	if (row->why != NULL) {
		if (r != -EILSEQ)
			fail_msg("%s: %d", row->name, r);
		assert_string_equal(why, row->why);
		assert_string_equal(before, row->why);
	} else {
		assert_int_equal(r, 0);
		assert_null(why);
		assert_int_equal(length, row->want.n);
		if (!span_eq(buf_span(&out), row->want))
			fail_msg("%s: %.*s", row->name, (int)out.n, out.n > 0 ? out.p : "");
	}
	buf_free(&out);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		check(&rows[i], SIZE_MAX);
		check(&rows[i], 1);
	}
}

static struct span
made_of(struct buf *b, const char *before, const char *again, size_t times, const char *after)
{
	buf_reset(b);
	buf_puts(b, before);
	while (times-- > 0)
		buf_puts(b, again);
	buf_puts(b, after);
	assert_int_equal(b->err, 0);
	return buf_span(b);
}

/* What is 7-bit goes out as it is, so a second time nothing changes. */
static void
test_again(void **state)
{
	struct buf out = buf_new(16 * 1024);
	const char *why = NULL;
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (rows[i].why != NULL)
			continue;
		assert_int_equal(convert(whole(rows[i].want), &out, &why), 0);
		assert_true(span_eq(buf_span(&out), rows[i].want));
	}
	buf_free(&out);
}

static void
test_long_lines(void **state)
{
	struct buf in = buf_new(4096), out = buf_new(4096), want = buf_new(4096);
	const char *why = NULL;
	(void)state;
	struct span text = made_of(&in, V TEXT "\r\n", X998 "yz", 1, "\r\n");
	made_of(&want, V TEXT QP "\r\n", X70 "xxx=\r\n", 13, X10 X10 X10 X10 "xxxxxxxxxyz\r\n");
	assert_int_equal(convert(whole(text), &out, &why), 0);
	assert_true(span_eq(buf_span(&out), buf_span(&want)));

	text = made_of(&in, V DATA "\r\n", "\377\377\377", 39, "");
	made_of(&want, V DATA B64 "\r\n", "////", 19, "\r\n");
	buf_puts(&want, "////////////////////////////////////////////////////////////////////////////"
		"\r\n////\r\n");
	assert_int_equal(convert(whole(text), &out, &why), 0);
	assert_true(span_eq(buf_span(&out), buf_span(&want)));
	buf_free(&in);
	buf_free(&out);
	buf_free(&want);
}

/* The line end of a text that is longer than a piece. */
static void
test_ends_of_long_lines(void **state)
{
	static const char head[] = V TEXT QP;
	struct buf in = buf_new(4096), out = buf_new(4096);
	const char *why = NULL;
	(void)state;
	for (size_t n = LIMIT_TEXT_LINE + 1; n < PIECES_MAX + 10; n++) {
		struct span text = made_of(&in, V TEXT "\r\n", "x", n, "\r\n");
		assert_int_equal(convert(whole(text), &out, &why), 0);
		assert_memory_equal(out.p, head, sizeof(head) - 1);
	}
	buf_free(&in);
	buf_free(&out);
}

/* What is quoted already gets longer by 8-bit octets alone, and no line too long. */
static void
test_quoted_long(void **state)
{
	static const char *const lines[] = { "\xe4", "\xe4 ", "\xe4-", "\xe4=", "\xe4=41", "x", "=" };
	struct buf in = buf_new(8192), out = buf_new(64 * 1024);
	const char *why = NULL;
	(void)state;
	for (size_t i = 0; i < ROWS(lines); i++) {
		struct span text = made_of(&in, V TEXT QP "\r\n", lines[i], 1500, "\xe4\r\n");
		assert_int_equal(convert(whole(text), &out, &why), 0);
		struct span rest = buf_span(&out);
		size_t octets = 0;
		for (const char *p = rest.p; (p = memmem(p, (size_t)(rest.p + rest.n - p), "=E4", 3)) != NULL; p++)
			octets++;
		assert_int_equal(octets, lines[i][0] != '\xe4' ? 1 : 1501);
		while (rest.n > 0)
			assert_true(span_line(&rest).n <= LIMIT_TEXT_LINE + 1);
	}
	buf_free(&in);
	buf_free(&out);
}

/* Boundaries, line ends and long lines on both sides of each end of a chunk. */
static void
test_chunks(void **state)
{
	static const char in_tail[] = "\r\n--b\r\n" TEXT "\r\n\xe4\r\n--b\r\n" DATA "\r\n\xff" X998
		"\r\n--b--\r\n";
	struct buf in = buf_new(64 * 1024), out = buf_new(64 * 1024);
	const char *why = NULL;
	struct span tail = { "", 0 };
	(void)state;
	for (size_t pad = 0; pad < PIECES_MAX + 200; pad++) {
		struct span text = made_of(&in, MIX "\r\n", X70 "\r\n",
			(PIECES_CHUNK - 2 * PIECES_MAX) / 72, "");
		size_t head = text.n;
		for (size_t i = 0; i < pad; i++)
			buf_puts(&in, i % 64 == 63 ? "\r\n" : "x");
		buf_add(&in, (struct span){ in_tail, sizeof(in_tail) - 1 });
		assert_int_equal(convert(whole(buf_span(&in)), &out, &why), 0);
		assert_memory_equal(out.p, in.p, head);
		struct span rest = span_skip(buf_span(&out), out.n - 1500);
		if (pad == 0)
			tail = (struct span){ strndup(rest.p, rest.n), rest.n };
		assert_memory_equal(span_skip(rest, 100).p, span_skip(tail, 100).p, tail.n - 100);
	}
	free((void *)(uintptr_t)tail.p);
	buf_free(&in);
	buf_free(&out);
}

static void
test_limits(void **state)
{
	static const char nested[] = V "Content-Type: message/rfc822\r\n\r\n";
	struct buf in = buf_new(64 * 1024), out = buf_new(64 * 1024);
	const char *why = NULL;
	(void)state;
	struct span text = made_of(&in, "", nested, LIMIT_MIME_NESTED - 1, "\r\n\xe4\r\n");
	assert_int_equal(convert(whole(text), &out, &why), 0);
	text = made_of(&in, "", nested, LIMIT_MIME_NESTED, "\r\n\xe4\r\n");
	assert_int_equal(convert(whole(text), &out, &why), -EILSEQ);
	assert_string_equal(why, "parts are nested too deep");

	static const char type[] = V "Content-Type: text/plain;\r\n", name[] = " " X100 "\r\n";
	text = made_of(&in, type, name, LIMIT_MIME_FIELD / 101 - 1, "\r\n\xe4\r\n");
	assert_int_equal(convert(whole(text), &out, &why), 0);
	text = made_of(&in, type, name, LIMIT_MIME_FIELD / 101 + 1, "\r\n\xe4\r\n");
	assert_int_equal(convert(whole(text), &out, &why), -EILSEQ);
	assert_string_equal(why, "a MIME field is too long");

	text = made_of(&in, "Subject: \xe4\r\n", name, LIMIT_MIME_FIELD / 103 - 1, "\r\n");
	assert_int_equal(convert(whole(text), &out, &why), 0);
	text = made_of(&in, "Subject: \xe4\r\n", name, LIMIT_MIME_FIELD / 103 + 1, "\r\n");
	assert_int_equal(convert(whole(text), &out, &why), -EILSEQ);
	assert_string_equal(why, in_header);
	buf_free(&in);
	buf_free(&out);
}

static const char parts[] = MIX "\r\n--b\r\n" TEXT "\r\n\xe4\r\n--b\r\n"
	DATA "\r\n\xff\r\n--b--\r\n";

static void
test_source_fails(void **state)
{
	struct span text = { parts, sizeof(parts) - 1 };
	struct buf out = buf_new(4096);
	const char *why = NULL;
	uint64_t length;
	(void)state;
	for (size_t at = 0; at < text.n; at++) {
		struct source s = { text, 1, at, NULL };
		assert_int_equal(sevenbit_check(read_source, &s, &length, &why), -EIO);
		assert_int_equal(convert(s, &out, &why), -EIO);
	}
	assert_null(why);
	buf_free(&out);
}

/* A message that loses its end while it is read. */
static ssize_t
read_shrinking(const void *ctx, uint64_t offset, char *p, size_t n)
{
	const struct source *s = ctx;
	bool shrunk = *s->reads > 3;
	return shrunk && offset >= PIECES_CHUNK ? 0 : read_source(ctx, offset, p, n);
}

static void
test_source_shrinks(void **state)
{
	struct buf in = buf_new(64 * 1024), out = buf_new(64 * 1024);
	const char *why = NULL;
	int reads = 0;
	(void)state;
	struct source s = whole(made_of(&in, "\r\n", X70 "\r\n", 2 * PIECES_CHUNK / 72, "\xe4\r\n"));
	s.reads = &reads;
	assert_int_equal(sevenbit_convert(read_shrinking, &s, collect, &out, &why), -EIO);
	assert_true(out.n > PIECES_CHUNK / 2);
	buf_free(&in);
	buf_free(&out);
}

static int
break_off(void *target, struct span piece)
{
	int *left = target;
	(void)piece;
	assert_true(*left >= 0); /* it is not called again */
	return (*left)-- > 0 ? 0 : -EPIPE;
}

static void
test_sink_fails(void **state)
{
	struct source s = whole((struct span){ parts, sizeof(parts) - 1 });
	const char *why = NULL;
	int pieces = 0;
	(void)state;
	for (int r = -EPIPE; r != 0; pieces++) {
		int left = pieces;
		r = sevenbit_convert(read_source, &s, break_off, &left, &why);
		assert_true(r == 0 || r == -EPIPE);
	}
	assert_true(pieces > 20);
	assert_null(why);
}

/* ... and nothing more is read for it. */
static void
test_sink_fails_early(void **state)
{
	struct buf in = buf_new(1024 * 1024);
	const char *why = NULL;
	int reads = 0, left = 0;
	(void)state;
	struct source s = whole(made_of(&in, MIX "\r\n--b\r\n\r\n--b\r\n\r\n", X70 "\r\n", 10000,
		"\r\n--b--\r\n"));
	s.reads = &reads;
	assert_int_equal(sevenbit_convert(read_source, &s, break_off, &left, &why), -EPIPE);
	assert_true(reads < 5);
	buf_free(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_ends_of_long_lines),
		cmocka_unit_test(test_quoted_long),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_source_fails),
		cmocka_unit_test(test_source_shrinks),
		cmocka_unit_test(test_sink_fails),
		cmocka_unit_test(test_sink_fails_early),
	};
	return cmocka_run_group_tests_name("sevenbit", tests, NULL, NULL);
}
