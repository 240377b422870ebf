/* conf: where settings come from, and what wins (D8, H6, L60, L61, L63). */
#include "tests/unit/conf/loaded.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void
test_precedence(void **state)
{
	(void)state;
	struct buf why = buf_new(1000);
	struct conf c;
	struct span file = span_of("max_size = 1M\nmax_errors = 5\nmax_connections = 7\n");
	char want[200];
	setenv("POSTERN_MAX_SIZE", "2M", 1);
	setenv("POSTERN_MAX_ERRORS", "6", 1);
	assert_int_equal(load(&c, file, "max_size=3M", &why), 0);
	assert_string_equal(printed(&c, "max_size"), "3145728  # command line");
	assert_string_equal(printed(&c, "max_errors"), "6  # environment");
	snprintf(want, sizeof(want), "7  # %s:3", path);
	assert_string_equal(printed(&c, "max_connections"), want);
	assert_string_equal(printed(&c, "expire"), "432000s  # default");
	assert_int_equal(c.receive.max_size, 3 * 1024 * 1024);
	conf_free(&c);

	/* What the file sets can be unset. */
	assert_int_equal(load(&c, span_of("tls_certificate = /c.pem\n"), "tls_certificate=", &why), 0);
	assert_null(c.tls.certificate);
	assert_null(c.tls.key);
	conf_free(&c);
	assert_int_equal(load(&c, span_of("tls_certificate = /c.pem\n"), NULL, &why), 0);
	assert_string_equal(c.tls.key, "/c.pem");
	conf_free(&c);

	/* An option given twice: the later one; but what is wrong anywhere is wrong. */
	const char *twice[] = { "hostname=h.example", "relay_path=/r", "max_size=4M", "max_size=5M" };
	struct conf_args args = { .file = path, .options = twice, .n = 4 };
	c = (struct conf){ 0 };
	assert_int_equal(conf_load(&c, &args, &from, &why), 0);
	assert_int_equal(c.receive.max_size, 5 * 1024 * 1024);
	conf_free(&c);
	setenv("POSTERN_MAX_SIZE", "x", 1);
	assert_int_equal(load(&c, file, "max_size=3M", &why), -EINVAL);
	assert_true(span_eq(buf_span(&why),
		span_of("environment: MAX_SIZE: not a size like 50M: \"x\"")));
	conf_free(&c);
	unsetenv("POSTERN_MAX_SIZE");
	unsetenv("POSTERN_MAX_ERRORS");

	assert_int_equal(load(&c, file, "max_size", &why), -EINVAL);
	assert_true(span_eq(buf_span(&why), span_of("command line: max_size: not \"key = value\"")));
	conf_free(&c);
	assert_int_equal(load(&c, file, "max_size=3M\r", &why), 0); /* L63: of a script from Windows */
	assert_int_equal(c.receive.max_size, 3 * 1024 * 1024);
	conf_free(&c);
	buf_free(&why);
}

/* L60, L61, L63: what variables hold, and are called, that others than we have made. */
static const struct {
	const char *name, *value;
	const char *size;  /* max_size, as printed; NULL: an error */
	const char *doubt; /* what is told, or "" */
} variables[] = {
	{ "POSTERN_MAX_SIZE", "2M", "2097152  # environment", "" },
	{ "POSTERN_MAX_SIZE", "", "52428800  # default", "" },
	{ "POSTERN_MAX_SIZE", "\r\n", "52428800  # default", "" },
	{ "POSTERN_MAX_SIZE", " \t", "52428800  # default", "" },
	{ "POSTERN_MAX_SIZE", "2M\n", "2097152  # environment", "" },
	{ "POSTERN_MAX_SIZE", "2M\r\n", "2097152  # environment", "" },
	{ "POSTERN_MAX_SIZE", "2M\r", "2097152  # environment", "" },
	{ "POSTERN_MAX_SIZE", "\xef\xbb\xbf" "2M \r\n\r\n", "2097152  # environment", "" },
	{ "POSTERN_MAX_SIZE", "\"2M\"", "2097152  # environment", "" }, /* of docker --env-file */
	{ "POSTERN_MAX_SIZE", "' 2M '\r\n", "2097152  # environment", "" },
	{ "POSTERN_MAX_SIZE", "\"\"", "52428800  # default", "" },
	{ "POSTERN_MAX_SIZE", "''\n", "52428800  # default", "" },
	{ "POSTERN_MAX_SIZE", "\"2M'", NULL, "" },
	{ "POSTERN_MAX_SIZE", "\"", NULL, "" },
	{ "POSTERN_SMTP_PORT", "\"tcp://10.0.0.1:25\"", "52428800  # default", "POSTERN_SMTP_PORT\n" },
	{ "POSTERN_MAX_SIZE", "2M\r3", NULL, "" },
	{ "POSTERN_MAX_SIZE", "x", NULL, "" },
	{ "POSTERN_HOSTS", "h.example", NULL, "" }, /* a key, though one of routes */
	{ "POSTERN_HOSTS", "", "52428800  # default", "" },
	{ "POSTERN_PORT", "tcp://10.0.0.1:25", "52428800  # default", "POSTERN_PORT\n" },
	{ "POSTERN_SERVICE_HOST", "10.0.0.1", "52428800  # default", "POSTERN_SERVICE_HOST\n" },
	{ "POSTERN_", "1", "52428800  # default", "POSTERN_\n" },
	{ "POSTERN_A\x1b", "secret", "52428800  # default", "POSTERN_A\\x1b\n" },
	{ "POSTERN_SMTP_PORT", "tcp://10.0.0.1:25", "52428800  # default", "POSTERN_SMTP_PORT\n" },
	{ "POSTERN_SMTP_PORT", "tcp:25", NULL, "" },
	{ "POSTERN_EMPTY", "", "52428800  # default", "" },
	{ "POSTERN_SECRET_X", "secret\n", "52428800  # default", "" },
};

static void
test_environment(void **state)
{
	(void)state;
	static const char told[] = "the environment has what is no key and is not looked at: ";
	for (size_t i = 0; i < ROWS(variables); i++) {
		struct buf why = buf_new(1000);
		struct conf c;
		char want[200] = "";
		setenv(variables[i].name, variables[i].value, 1);
		int r = load(&c, span_of(""), NULL, &why);
		unsetenv(variables[i].name);
		assert_int_equal(r, variables[i].size != NULL ? 0 : -EINVAL);
		if (r == 0)
			assert_string_equal(printed(&c, "max_size"), variables[i].size);
		if (variables[i].doubt[0] != '\0')
			snprintf(want, sizeof(want), "%s%s", told, variables[i].doubt);
		if (!span_eq(buf_span(&c.doubts), span_of(want)))
			fail_msg("row %zu: %.*s", i, (int)c.doubts.n, c.doubts.p);
		conf_free(&c);
		buf_free(&why);
	}
}

static const struct {
	const char *variable, *text;
	const char *size; /* max_size, as printed; NULL: an error */
	const char *why;
} named_files[] = {
	{ "POSTERN_MAX_SIZE_FILE", "2M\n", "2097152", "" },
	{ "POSTERN_max_size_FILE", "\xef\xbb\xbf" "2M\r\n\r\n", "2097152", "" },
	{ "POSTERN_MAX_SIZE_FILE", "", "52428800  # default", "" },
	{ "POSTERN_MAX_SIZE_FILE", "2M\n3M\n", NULL, ": max_size: holds a control character: " },
	{ "POSTERN_MAX_SIZE_FILE", "x\n", NULL, ": max_size: not a size like 50M: \"x\"" },
	{ "POSTERN_MAX_SIZE_FILE", NULL, NULL, ": max_size: No such file or directory: \"" },
	{ "POSTERN_HOSTS_FILE", "h.example", NULL, ": hosts: stands behind" },
	{ "POSTERN_DELIVERY_PASSWORD_FILE", "x", NULL, "environment: DELIVERY_PASSWORD_FILE: " },
	{ "POSTERN__FILE", "x", "52428800  # default", "" }, /* no key: told, and not looked at */
};

/* A file with this text, or none, by a name that mkstemp makes of `name`. */
static void
make_named(char *name, const char *text)
{
	int fd = mkstemp(name);
	assert_true(fd >= 0 && (text == NULL || write(fd, text, strlen(text)) >= 0));
	close(fd);
	if (text == NULL)
		unlink(name);
}

/* L60: a variable that names a file which holds the value: secrets that are mounted. */
static void
test_named_files(void **state)
{
	(void)state;
	static const char origin[] = "  # file named in the environment";
	for (size_t i = 0; i < ROWS(named_files); i++) {
		struct buf why = buf_new(1000);
		struct conf c;
		char named[] = "/tmp/postern-named-XXXXXX", want[200];
		make_named(named, named_files[i].text);
		setenv(named_files[i].variable, named, 1);
		int r = load(&c, span_of(""), NULL, &why);
		assert_int_equal(r, named_files[i].size != NULL ? 0 : -EINVAL);
		snprintf(want, sizeof(want), "%s%s", named_files[i].size != NULL ? named_files[i].size : "",
			named_files[i].size != NULL && strchr(named_files[i].size, '#') == NULL ? origin : "");
		if (r == 0)
			assert_string_equal(printed(&c, "max_size"), want);
		if (r < 0 && memmem(why.p, why.n, named_files[i].why, strlen(named_files[i].why)) == NULL)
			fail_msg("row %zu: %.*s", i, (int)why.n, why.p);
		conf_free(&c);
		unsetenv(named_files[i].variable);
		unlink(named);
		buf_free(&why);
	}
}

/* Beside the variable itself: which of the two is meant? */
static void
test_named_file_beside_value(void **state)
{
	(void)state;
	struct buf why = buf_new(1000);
	struct conf c;
	char named[] = "/tmp/postern-named-XXXXXX";
	make_named(named, "2M\n");
	setenv("POSTERN_MAX_SIZE_FILE", named, 1);
	setenv("POSTERN_MAX_SIZE", "3M", 1);
	assert_int_equal(load(&c, span_of(""), NULL, &why), -EINVAL);
	conf_free(&c);
	unsetenv("POSTERN_MAX_SIZE");
	unsetenv("POSTERN_MAX_SIZE_FILE");
	unlink(named);
	buf_free(&why);
}

/* Longer than a line may be. */
static void
test_long_named_file(void **state)
{
	(void)state;
	static char lots[5000];
	struct buf why = buf_new(1000);
	struct conf c;
	char named[] = "/tmp/postern-named-XXXXXX";
	memset(lots, '1', sizeof(lots) - 1);
	make_named(named, lots);
	setenv("POSTERN_MAX_SIZE_FILE", named, 1);
	assert_int_equal(load(&c, span_of(""), NULL, &why), -EINVAL);
	assert_non_null(memmem(why.p, why.n, "line too long", 13));
	unsetenv("POSTERN_MAX_SIZE_FILE");
	conf_free(&c);
	unlink(named);
	buf_free(&why);
}

/* L62: what comes by a pipe, in pieces, is all there is; a part of it would be another configuration. */
static void
test_pipe(void **state)
{
	(void)state;
	static const char *const pieces[] = { "max_size = 2M\n", "max_err", "ors = 7\n", "[own]\n",
		"max_errors = 9" };
	struct buf why = buf_new(1000);
	struct conf c = { 0 };
	char where[] = "/tmp/postern-fifo-XXXXXX", fifo[sizeof(where) + 5];
	struct conf_args args = { .file = fifo, .options = lines_that_complete, .n = 2, .profile = "own" };
	int status;
	assert_non_null(mkdtemp(where));
	snprintf(fifo, sizeof(fifo), "%s/fifo", where);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	int fd = open(fifo, O_RDWR | O_CLOEXEC); /* so that a writer is there */
	pid_t pid = fork();
	if (pid == 0) {
		int left = 1;
		for (size_t i = 0; i < ROWS(pieces); i++) {
			while (ioctl(fd, FIONREAD, &left) == 0 && left > 0)
				sched_yield(); /* until it was read */
			if (write(fd, pieces[i], strlen(pieces[i])) < 0)
				_exit(1);
		}
		_exit(0);
	}
	close(fd);
	assert_int_equal(conf_load(&c, &args, &from, &why), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(fifo);
	rmdir(where);
	assert_int_equal(c.receive.max_size, 2 * 1024 * 1024);
	assert_int_equal(c.receive.max_errors, 9);
	conf_free(&c);
	buf_free(&why);
}

/* L60: as many as there may be, in one line; and not for ever. */
static void
test_crowded_environment(void **state)
{
	(void)state;
	struct buf why = buf_new(1000);
	struct conf c;
	char name[100];
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "POSTERN_PORT_%d_TCP", i);
		setenv(name, "x", 1);
	}
	assert_int_equal(load(&c, span_of(""), NULL, &why), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "POSTERN_PORT_%d_TCP", i);
		unsetenv(name);
	}
	struct span lines = buf_span(&c.doubts), one = span_cut(&lines, '\n');
	assert_int_equal(lines.n, 0);
	assert_in_range(one.n, 2000, 4000);
	assert_memory_equal(one.p + one.n - 10, ", and more", 10);
	conf_free(&c);
	buf_free(&why);
}

static const struct profile_row {
	const char *file, *profile;
	int result;
	const char *tls, *max_size; /* as printed, or what is wrong */
} profiles[] = {
	{ "", NULL, 0, "starttls  # default", "65536  # command line" },
	{ "", "smtp", 0, "starttls  # default", "65536  # command line" },
	{ "tls = off", "smtp", 0, "off  # PATH:1", "65536  # command line" },
	{ "tls_certificate = /c", "submission", 0, "required  # submission", "65536  # command line" },
	{ "tls_certificate = /c\ntls = off", "submissions", 0, "implicit  # submissions", "65536  # command line" },
	{ "[submission]\ntls = off", "submission", 0, "off  # PATH:2", "65536  # command line" },
	{ "[Submission]\ntls = off", "submission", 0, "off  # PATH:2", "65536  # command line" },
	{ "tls_certificate = /c", "Submission", 0, "required  # Submission", "65536  # command line" },
	{ "[submission]\ntls = off", "smtp", 0, "starttls  # default", "65536  # command line" },
	{ "tls = off\n[own]\ntls = starttls\n[other]\ntls = nonsense", "own", 0,
		"starttls  # PATH:3", "65536  # command line" },
	{ "[own]\ntls = off\ntls = off", "own", -EINVAL, "PATH:3: tls: set before at PATH:2", NULL },
	/* A profile's section in pieces is one part */
	{ "[own]\ntls = off\n[own]\ntls = starttls", "own", -EINVAL, "PATH:4: tls: set before at PATH:2", NULL },
	{ "[own]\ntls = off\n[OWN]\ntls = off", "own", -EINVAL, "PATH:4: tls: set before at PATH:2", NULL },
	{ "[own]\ntls = off\n[other]\ntls = off\n[route r]\ndomains = *\nhosts = h.example\n[own]\nTLS = off",
		"own", -EINVAL, "PATH:9: tls: set before at PATH:2", NULL },
	{ "tls = starttls\n[own]\ntls = off\n[other]\ntls = required\n[own]\nlog = stderr", "own", 0,
		"off  # PATH:3", "65536  # command line" },
	{ "[submission]\ntls = off\n[submission]\nlog = stderr", "submission", 0, "off  # PATH:2",
		"65536  # command line" },
	{ "[own]\ntls = nonsense", "own", -EINVAL,
		"PATH:2: tls: not one of off, starttls, required, implicit: \"nonsense\"", NULL },
	{ "[other]\nno_such_key = 1", "smtp", -EINVAL, "PATH:2: no_such_key: unknown key", NULL },
	{ "[own\n", "own", -EINVAL, "PATH:1: [own: neither \"[profile]\" nor \"[route NAME]\"", NULL },
	{ "[]\n", "own", -EINVAL, "PATH:1: []: neither \"[profile]\" nor \"[route NAME]\"", NULL },
	{ "", "own", -EINVAL, "command line: own: no such profile", NULL },
#define OPEN_RELAY "relay_nets: makes an open relay; open_relay = yes if that is meant"
	{ "relay_nets = 0.0.0.0/0", NULL, -EINVAL, "PATH:1: " OPEN_RELAY, NULL }, /* D8, H6 */
	{ "relay_nets = 192.0.2.1 ::/0", NULL, -EINVAL, "PATH:1: " OPEN_RELAY, NULL },
	{ "relay_nets = 128.0.0.0/7", NULL, -EINVAL, "PATH:1: " OPEN_RELAY, NULL },
	{ "relay_nets = 2000::/3", NULL, -EINVAL, "PATH:1: " OPEN_RELAY, NULL },
	{ "auth_saslauthd = /a\nauth_dovecot = /b", NULL, -EINVAL,
		"PATH:2: auth_dovecot: is for hosts without auth_saslauthd", NULL },
	{ "relay_nets = 10.0.0.0/8 2001::/16", NULL, 0, "starttls  # default",
		"65536  # command line" },
	{ "relay_nets = 0.0.0.0/0\nopen_relay = yes", NULL, 0, "starttls  # default",
		"65536  # command line" },
};

/* `text` with the name of the file in place of PATH. */
static const char *
with_path(const char *text)
{
	static char out[512];
	size_t n = 0;
	for (; *text != '\0'; text++) {
		bool here = strncmp(text, "PATH", 4) == 0;
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s", here ? path : "");
		if (here)
			text += 3;
		else
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%c", *text);
	}
	return out;
}

static void
test_profiles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(profiles); i++) {
		const struct profile_row *row = &profiles[i];
		struct conf c;
		struct buf why = buf_new(1000);
		int r = load_for(&c, span_of(row->file), "max_size=64K", row->profile, &why);
		assert_int_equal(r, row->result);
		if (r == 0) {
			assert_string_equal(printed(&c, "tls"), with_path(row->tls));
			assert_string_equal(printed(&c, "max_size"), row->max_size);
		} else {
			buf_add(&why, (struct span){ "", 1 });
			assert_string_equal(why.p, with_path(row->tls));
		}
		conf_free(&c);
		buf_free(&why);
	}
}

/* The socket of this host's users: what is said of its network is not meant, until a section says so. */
static void
test_profile_local(void **state)
{
	(void)state;
#define STRICT "relay_local = no\ntls = implicit\ntls_certificate = /c\n"
	static const struct {
		const char *file, *profile;
		enum conf_bool users, local;
		enum conf_tls_mode tls;
	} rows_of[] = {
		{ STRICT, NULL, CONF_NO, CONF_NO, TLS_IMPLICIT },
		{ STRICT, "postern", CONF_NO, CONF_NO, TLS_IMPLICIT },
		{ STRICT, "local", CONF_YES, CONF_YES, TLS_OFF },
		{ "", "local", CONF_YES, CONF_YES, TLS_OFF },
		{ "[local]\nlocal_users = no\nrelay_local = no\n", "local", CONF_NO, CONF_NO, TLS_OFF },
		{ "local_users = yes\n", "smtp", CONF_YES, CONF_YES, TLS_STARTTLS },
	};
	for (size_t i = 0; i < ROWS(rows_of); i++) {
		struct conf c;
		struct buf why = buf_new(1000);
		assert_int_equal(load_for(&c, span_of(rows_of[i].file), "max_size=64K",
			rows_of[i].profile, &why), 0);
		assert_int_equal(c.receive.local_users, rows_of[i].users);
		assert_int_equal(c.receive.relay_local, rows_of[i].local);
		assert_int_equal(c.tls.mode, rows_of[i].tls);
		assert_string_equal(c.receive.local_senders, "*=*");
		conf_free(&c);
		buf_free(&why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_named_files),
		cmocka_unit_test(test_named_file_beside_value),
		cmocka_unit_test(test_long_named_file),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_crowded_environment),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_profile_local),
	};
	return cmocka_run_group_tests_name("conf_sources", tests, make_file, remove_file);
}
