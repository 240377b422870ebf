/*
 * sign: has the private keys of DKIM, and signs digests with them (RFC 6376).
 *
 * A relay that has a table of keys (dkim_keys) starts it before it locks itself in, with one end of
 * a pair of packet sockets (lib/signwire.h). So no key is ever in the process that talks to hosts:
 * one that was taken over can have things signed as long as it lives, and carries no key away. sign
 * reads its files, locks itself in (no file, no socket, no exec), tells which keys it has, and
 * answers until the relay is gone. What cannot be used is logged, and mail that needs it waits.
 *
 *	sign --check             looks at the table and the keys
 *	sign --public            prints what is to be published of each key of the table: domain,
 *	                         selector, k= and p=
 *	sign --make rsa:FILE     makes a key, or ed25519:FILE, and prints "rsa" and its public key
 *
 * Exit status: 0; 1 a key is not there, or cannot be made; 75 it cannot lock itself in; 78 the
 * configuration is wrong.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "conf/conf.h"
#include "conf/credential.h"
#include "conf/dkimkeys.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"
#include "process/user.h"
#include "secrets/signkey.h"

/* The table, and the key of each row; NULL: it cannot be used. */
static struct dkimkeys table;
static EVP_PKEY *keys[SIGN_KEYS];

/* NULL: the reason is in *why. */
static EVP_PKEY *
read_key(const struct dkimkeys_row *row, struct buf *why)
{
	char *path = strdup(row->file);
	EVP_PKEY *key = NULL;
	if (path == NULL)
		buf_puts(why, strerror(errno));
	else if (credential_path(&path, why) == 0)
		key = signkey_read(path, why);
	free(path);
	return key;
}

/* Reads all of them. EXIT_SUCCESS, or how to end. */
static int
prepare(const struct conf *conf)
{
	struct log_fields f = { .event = "dkim" };
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (dkimkeys_read(&table, conf->dkim.keys, &why) < 0) {
		log_event(LOG_ERR, &f, "dkim_keys %.*s", (int)why.n, why.p);
		return EXIT_CONFIG;
	}
	for (size_t i = 0; i < table.n; i++) {
		buf_reset(&why);
		keys[i] = read_key(&table.v[i], &why);
		if (keys[i] == NULL)
			log_event(LOG_ERR, &f, "dkim_keys %s:%u: %.*s", conf->dkim.keys,
				table.v[i].line, (int)why.n, why.p);
	}
	return EXIT_SUCCESS;
}

static bool
tell_keys(void)
{
	static struct sign_hello hello;
	hello.sum = table.sum;
	hello.keys = (uint32_t)table.n;
	for (size_t i = 0; i < table.n; i++)
		if (keys[i] != NULL)
			hello.algorithm[i] = (uint8_t)signkey_algorithm(keys[i]);
	return send(LAUNCH_FIRST_FD, &hello, sizeof(hello), MSG_NOSIGNAL) ==
		(ssize_t)sizeof(hello);
}

/* Until the relay is gone, or says what no relay says. */
static void
answer_all(void)
{
	struct sign_question q;
	struct sign_reply r;
	while (recv(LAUNCH_FIRST_FD, &q, sizeof(q), 0) == (ssize_t)sizeof(q) && q.key < table.n) {
		r = (struct sign_reply){ 0 };
		if (keys[q.key] != NULL)
			r.n = signkey_sign(keys[q.key], q.hash, r.signature);
		if (send(LAUNCH_FIRST_FD, &r, sizeof(r), MSG_NOSIGNAL) != (ssize_t)sizeof(r))
			return;
	}
}

static int
serve(const struct conf *conf)
{
	struct log_fields f = { .event = "dkim" };
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	int r = prepare(conf);
	if (r != EXIT_SUCCESS)
		return r;
	credential_forget();
	if (!program_lock_in(SANDBOX_HELPER, NULL, -1, &f))
		return EX_TEMPFAIL;
	if (tell_keys())
		answer_all();
	return EXIT_SUCCESS;
}

/* ---- what the operator asks -------------------------------------------------------------- */

/* What a line of the table names could be read. */
static void
check_mode(struct findings *f, const char *file, const struct dkimkeys_row *row)
{
	char place[LIMIT_LOG_TEXT], so[LIMIT_LOG_TEXT];
	snprintf(place, sizeof(place), "dkim_keys %s:%u:", file, row->line);
	snprintf(so, sizeof(so), "sign as %s", row->domain);
	check_secret(f, place, row->file, so);
}

/* Does the line begin what has still to come for its domain, so that no key of it signs now? */
static bool
is_to_come(const struct dkimkeys_row *row)
{
	for (const struct dkimkeys_row *r = table.v; r < row; r++)
		if (strcmp(r->domain, row->domain) == 0)
			return false;
	return !dkimkeys_has(&table, row->domain, clock_wall());
}

static void
check_keys(struct findings *f, const struct conf *conf)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (conf->dkim.keys == NULL)
		return;
	if (dkimkeys_read(&table, conf->dkim.keys, &why) < 0)
		check_fault(f, "dkim_keys %.*s; user %ld must be able to read it", (int)why.n,
			why.p, (long)geteuid());
	for (size_t i = 0; i < table.n; i++) {
		const struct dkimkeys_row *row = &table.v[i];
		buf_reset(&why);
		if (is_to_come(row))
			check_warning(f, "dkim_keys %s:%u: no key of %s signs before its day",
				conf->dkim.keys, row->line, row->domain);
		if (credential_hidden(span_of(row->file))) {
			check_warning(f, "dkim_keys %s:%u: %s: a credential can be looked at only "
				"where the unit runs", conf->dkim.keys, row->line, row->file);
			continue;
		}
		EVP_PKEY *key = read_key(row, &why);
		if (key == NULL)
			check_fault(f, "dkim_keys %s:%u: %.*s: mail of %s waits for it",
				conf->dkim.keys, row->line, (int)why.n, why.p, row->domain);
		else
			check_mode(f, conf->dkim.keys, row);
		EVP_PKEY_free(key);
	}
}

static const struct check checks[] = { { check_keys } };

static int
print_public(const struct conf *conf)
{
	int status = EXIT_SUCCESS;
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (dkimkeys_read(&table, conf->dkim.keys, &why) < 0)
		return check_refuse("sign", &why);
	for (size_t i = 0; i < table.n; i++) {
		auto_buf p = buf_new(2 * SIGN_SIGNATURE);
		buf_reset(&why);
		EVP_PKEY *key = read_key(&table.v[i], &why);
		if (key != NULL && signkey_public(key, &p)) {
			printf("%s %s %s %.*s\n", table.v[i].domain, table.v[i].selector,
				signkey_word(signkey_algorithm(key)), (int)p.n, p.p);
		} else {
			fprintf(stderr, "sign: %s:%u: %.*s\n", conf->dkim.keys, table.v[i].line,
				(int)why.n, why.n > 0 ? why.p : "");
			status = EXIT_FAILURE;
		}
		EVP_PKEY_free(key);
	}
	return status == EXIT_SUCCESS && file_flush(stdout) < 0 ? EX_IOERR : status;
}

/* "rsa" and the public key, of one that was made. */
static bool
print_made(const char *path, struct buf *why)
{
	auto_buf p = buf_new(2 * SIGN_SIGNATURE);
	EVP_PKEY *key = signkey_read(path, why);
	bool there = key != NULL && signkey_public(key, &p);
	if (there)
		printf("%s %.*s\n", signkey_word(signkey_algorithm(key)), (int)p.n, p.p);
	EVP_PKEY_free(key);
	return there;
}

/* "rsa:FILE". Started as root, the key is that of the user of the service. */
static int
make(const struct conf *conf, const char *what)
{
	struct span path = span_of(what), word = span_cut(&path, ':');
	enum dkim_algorithm algorithm = span_eq(word, span_of("rsa")) ? DKIM_RSA
		: span_eq(word, span_of("ed25519")) ? DKIM_ED25519 : DKIM_NONE;
	uid_t owner = (uid_t)-1;
	gid_t group;
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (algorithm == DKIM_NONE || path.n == 0)
		buf_puts(&why, "neither rsa:FILE nor ed25519:FILE");
	else if (geteuid() == 0 && user_find(conf->who.user, &owner, &group) < 0)
		buf_printf(&why, "user %s: there is none", conf->who.user);
	else if (signkey_make(algorithm, path.p, owner, &why) == 0 && print_made(path.p, &why))
		return EXIT_SUCCESS;
	fprintf(stderr, "sign: %.*s\n", (int)why.n, why.n > 0 ? why.p : "");
	return EXIT_FAILURE;
}

/* ---- start ------------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
	static struct conf conf;
	struct options o;
	auto_buf why = buf_new(LIMIT_COMMAND);

	if (!program_begin(&o, argc, argv))
		return EX_USAGE;
	bool asked = o.check || o.public || o.make != NULL;
	const char *unfit = o.serve || asked ? NULL : "sign is started by relay";
	int err = program_configure(&conf, NULL, &o, unfit, "sign", &why);
	if (err == 0 && conf.dkim.keys == NULL && !o.check && o.make == NULL) {
		buf_puts(&why, "dkim_keys is not set");
		err = -EINVAL;
	}
	if (o.check)
		return err < 0 ? check_refuse("sign", &why)
			       : check_all("sign", &o, &conf, NULL, checks, CHECKS(checks));
	if (err < 0)
		return asked ? check_refuse("sign", &why) : program_refuse(&why);
	return o.make != NULL ? make(&conf, o.make) : o.public ? print_public(&conf) : serve(&conf);
}
