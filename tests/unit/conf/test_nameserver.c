/* nameserver: the words of the key, and what the system's resolver reads in resolv.conf (L30). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/nameserver.h"
#include "lib/cleanup.h"

enum { TEXT = 1000 };

/* All of them as --check prints them. */
static void
render(const struct conf_servers *s, char out[static TEXT])
{
	memset(out, 0, TEXT);
	FILE *f = fmemopen(out, TEXT, "w");
	for (int i = 0; i < s->n; i++) {
		fputs(i > 0 ? " " : "", f);
		nameserver_print(&s->v[i], f);
	}
	fclose(f);
}

static void
test_words(void **state)
{
	(void)state;
	static const struct {
		const char *word, *want; /* NULL: refused */
	} rows[] = {
		{ "192.0.2.53", "192.0.2.53:53" },
		{ "192.0.2.53:5353", "192.0.2.53:5353" },
		{ "[192.0.2.53]:5353", "192.0.2.53:5353" },
		{ "2001:db8::53", "[2001:db8::53]:53" },
		{ "[2001:db8::53]", "[2001:db8::53]:53" },
		{ "[2001:db8::53]:5353", "[2001:db8::53]:5353" },
		{ "fe80::53%lo", "[fe80::53%lo]:53" },
		{ "[fe80::53%lo]:5353", "[fe80::53%lo]:5353" },
		{ "fe80::53%1", "[fe80::53%lo]:53" },
		{ "fe80::53%gone0", "[fe80::53%0]:53" }, /* it may be there later */
		{ "fe80::53", "[fe80::53%0]:53" },
		{ "fe80::53%", NULL },
		{ "fe80::53%averyverylongname", NULL },
		{ "fe80::53%99999999999", NULL },
		{ "192.0.2.53%lo", NULL },
		{ "192.0.2.53:0", NULL },
		{ "192.0.2.53:70000", NULL },
		{ "[2001:db8::53]5353", NULL },
		{ "[2001:db8::53", NULL },
		{ "127.1", NULL },
		{ "dns.example", NULL },
		{ ":53", NULL },
		{ "[]:53", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct conf_servers s = { .n = 1 };
		char text[TEXT];
		int r = nameserver_parse(guarded(span_of(rows[i].word)), &s.v[0]);
		if ((r == 0) != (rows[i].want != NULL))
			fail_msg("%s: %d", rows[i].word, r);
		if (r < 0)
			continue;
		render(&s, text);
		assert_string_equal(text, rows[i].want);
	}
}

static const struct {
	const char *text;
	int want;
	const char *servers;
	const char *odd; /* a part of it, or NULL: nothing is */
	bool tcp;
} files[] = {
	{ "nameserver 192.0.2.53\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53", 0, "192.0.2.53:53", NULL, false },
	{ "# a\n; b\n\nsearch example.org\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n", 0,
		"192.0.2.53:53 192.0.2.54:53", NULL, false },
	{ "nameserver 192.0.2.53 # eth0:v4\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53# eth0:v4\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53;eth0\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53 eth0\n", 0, "192.0.2.53:53", NULL, false },
	/* to the system's resolver it is a word like any other */
	{ "nameserver 192.0.2.53 53\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53 192.0.2.54 0x35 192.0.2.55\n", 0, "192.0.2.53:53 192.0.2.54:53",
		NULL, false },
	{ "nameserver 192.0.2.53 127.1\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53\r\nnameserver 192.0.2.54\r\n", 0,
		"192.0.2.53:53 192.0.2.54:53", NULL, false },
	{ "\tnameserver\t192.0.2.53\t\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.53 2001:db8::53\n", 0, "192.0.2.53:53 [2001:db8::53]:53", NULL,
		false },
	{ "nameserver fe80::53%lo\n", 0, "[fe80::53%lo]:53", NULL, false },
	{ "nameserver fe80::53%1\n", 0, "[fe80::53%lo]:53", NULL, false },
	{ "nameserver [2001:db8::53]:5353\n", 0, "[2001:db8::53]:5353", NULL, false },
	{ "nameserver 192.0.2.53, 192.0.2.54,192.0.2.55\n", 0,
		"192.0.2.53:53 192.0.2.54:53 192.0.2.55:53", NULL, false },
	{ "\xef\xbb\xbfnameserver 192.0.2.53\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 127.1\n", 0, "127.0.0.1:53", NULL, false },
	{ "NAMESERVER 192.0.2.53\n", 0, "192.0.2.53:53", NULL, false },
	{ "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n"
		"nameserver 192.0.2.5\nnameserver 192.0.2.6\nnameserver 192.0.2.7\n", 0,
		"192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 192.0.2.4:53 192.0.2.5:53 192.0.2.6:53",
		NULL, false },
	{ "options timeout:1 use-vc rotate\nnameserver 192.0.2.53\n", 0, "192.0.2.53:53", NULL,
		true },
	{ "options ndots:2 # use-vc\nnameserver 192.0.2.53\n", 0, "192.0.2.53:53", NULL, false },
	/* L63: of an old Mac; what is behind the first CR is no server, or a comment */
	{ "nameserver 192.0.2.53\rnameserver 192.0.2.54\r", 0, "192.0.2.53:53",
		":1: a CR that ends no line: \"nameserver 192.0.2.53\\x0dnames", false },
	{ "# a\rnameserver 192.0.2.53\r", 0, "127.0.0.1:53", ":1: a CR that ends no line: \"# a\\x0d",
		false },
	/* as if there were no file */
	{ "", 0, "127.0.0.1:53", NULL, false },
	{ "search example.org\n", 0, "127.0.0.1:53", NULL, false },
	{ "#nameserver 192.0.2.53\n", 0, "127.0.0.1:53", NULL, false },
	/* ... but what was to name one is said */
	{ "nameservers 192.0.2.53\n", 0, "127.0.0.1:53",
		":1: not a line that names a nameserver: \"nameservers 192.0.2.53\"", false },
	{ "nameserver192.0.2.53\n", 0, "127.0.0.1:53", ":1: not a line that", false },
	{ "nameserver=192.0.2.53\nnameserver 192.0.2.54\n", 0, "192.0.2.54:53",
		":1: not a line that", false },
	/* what cannot be used is said, and is no reason to ask 127.0.0.1 */
	{ "nameserver 192.0.2.53\nnameserver dns.example\n", 0, "192.0.2.53:53",
		":2: not the address of a nameserver: \"dns.example\"", false },
	{ "nameserver fe80::53%gone0\nnameserver 192.0.2.53\n", 0, "192.0.2.53:53",
		":1: an address of a link that is not there: \"fe80::53%gone0\"", false },
	{ "nameserver dns.example\n", -EINVAL, "", ":1: not the address", false },
	{ "\nnameserver\nnameserver 192.0.2.300\n", -EINVAL, "", "; ", false },
	{ "nameserver # 192.0.2.53\n", -EINVAL, "", ":1: not the address", false },
	{ "nameserver fe80::53\n", -EINVAL, "", ":1: an address of a link", false },
};

static void
test_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(files); i++) {
		char path[] = "/tmp/resolv-XXXXXX", text[TEXT];
		int fd = mkstemp(path);
		size_t n = strlen(files[i].text);
		assert_int_equal(write(fd, files[i].text, n), n);
		close(fd);
		struct conf_servers s = { .n = 1, .tcp = true };
		auto_buf odd = buf_new(TEXT);
		int r = nameserver_read(path, &s, &odd);
		unlink(path);
		render(&s, text);
		if (r != files[i].want || strcmp(text, files[i].servers) != 0 || s.tcp != files[i].tcp)
			fail_msg("%s: %d, %s", files[i].text, r, text);
		if (files[i].odd == NULL ? odd.n > 0 : memmem(odd.p, odd.n, files[i].odd,
			strlen(files[i].odd)) == NULL)
			fail_msg("%s: %.*s", files[i].text, (int)odd.n, odd.p);
	}
}

/* A line behind a long comment, and one that is long itself. */
static void
test_long_file(void **state)
{
	(void)state;
	char path[] = "/tmp/resolv-XXXXXX", text[TEXT];
	FILE *f = fdopen(mkstemp(path), "w");
	for (int i = 0; i < 5000; i++)
		fputs("# a comment\n", f);
	fprintf(f, "search %08000d\nnameserver 192.0.2.53\n", 0);
	fclose(f);
	struct conf_servers s;
	auto_buf odd = buf_new(TEXT);
	assert_int_equal(nameserver_read(path, &s, &odd), 0);
	unlink(path);
	render(&s, text);
	assert_string_equal(text, "192.0.2.53:53");
}

static void
test_no_file(void **state)
{
	(void)state;
	struct conf_servers s;
	char text[TEXT];
	auto_buf odd = buf_new(TEXT);
	assert_int_equal(nameserver_read("/nonexistent/resolv.conf", &s, &odd), 0);
	assert_int_equal(odd.n, 0);
	assert_int_equal(nameserver_read("/proc/self/mem/resolv.conf", &s, &odd), 0); /* ENOTDIR */
	assert_true(odd.n > 0);
	render(&s, text);
	assert_string_equal(text, "127.0.0.1:53");
	/* What a container has where its host has none. */
	buf_reset(&odd);
	assert_int_equal(nameserver_read("/etc", &s, &odd), 0);
	assert_true(span_eq(buf_span(&odd), span_of("/etc: Is a directory")));
	render(&s, text);
	assert_string_equal(text, "127.0.0.1:53");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_long_file),
		cmocka_unit_test(test_no_file),
	};
	return cmocka_run_group_tests_name("nameserver", tests, NULL, NULL);
}
