/*
 * translate: what `postern import` makes of the configuration of another program.
 *
 * A format (formats.h) reads files into sheets, goes over their settings and writes ours. In front
 * of what comes of a setting stands a comment with the setting and its place; what cannot be
 * translated is a comment that begins with "WARNING: ", and is counted. A value that ours does not
 * take is such a warning too, so that what is written can be read. Passwords are never written, not
 * in a comment either, unless that was asked for.
 */
#ifndef POSTERN_TRANSLATE_H
#define POSTERN_TRANSLATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "conf/keys.h"
#include "lib/buf.h"
#include "lib/span.h"

enum {
	TRANSLATE_FILE = 256 * 1024, /* octets of a file that is read; ours has 64 KiB */
	TRANSLATE_LINE = 4096,       /* octets of a line of ours (conf/keys.h) */
	TRANSLATE_SETTINGS = 400,    /* of one file */
	TRANSLATE_LOGINS = 100,      /* files of passwords */
};

/* A setting of the other program; the spans are those of its sheet. */
struct told {
	struct span name, value;
	int line;
	bool secret; /* a password: only its name is shown */
};

/* A file, or a section of one. */
struct sheet {
	const char *path;
	const char *between; /* name and value, where they are shown; NULL: a blank */
	struct buf text;     /* owned */
	struct told v[TRANSLATE_SETTINGS];
	int n;
};

struct translation {
	struct buf common; /* lines before the first section */
	struct buf routes; /* sections */
	struct buf *to;    /* one of them: what is written now */
	struct buf needless; /* names of settings that nothing comes of */
	bool with_passwords;
	const char *files; /* directory in which those that are named are made; NULL: none is */
	int warnings;
	struct {           /* a login for each file of a password that was named */
		struct buf v[TRANSLATE_LOGINS]; /* user, NUL, password */
		int n;
	} logins;
	struct {           /* what led to what is written now */
		const char *path, *between;
		struct told setting;
		bool shown; /* or there is nothing */
	} source;
	struct conf tried; /* takes each value, so that we know that it can be taken */
	struct conf_origins origins;
};

/* `files`, which may be NULL, is an absolute path that stays where it is. */
void translate_begin(struct translation *t, bool with_passwords, const char *files);
void translate_end(struct translation *t);

/* Reads a file. 0 or -errno; *text is the caller's to free in either case. */
int translate_text(struct buf *text, const char *path);
int translate_read(struct sheet *s, const char *path);

/*
 * The next line of a text that is neither blank nor a comment ("#"), trimmed; *number, which begins
 * with 0, is its own. False: there is none.
 */
bool translate_line(struct span *text, int *number, struct span *line);

/* Adds a setting; false: there are too many. */
bool translate_add(struct sheet *s, struct span name, struct span value, int line);

/* The last setting of this name, in any letter case, for it is that which counts; or NULL. */
struct told *translate_find(struct sheet *s, const char *name);

/* ... its value; "" if there is none. */
struct span translate_value(struct sheet *s, const char *name);

/* Is this a word for yes, as these programs have them? */
bool translate_yes(struct span value);

/* What follows comes of this setting. */
void translate_from(struct translation *t, const struct sheet *s, const struct told *setting);

/* ... of this line of another file, which stays where it is as long as that. */
void translate_from_line(struct translation *t, const char *path, struct span name,
	struct span value, int line);

/* ... of nothing that could be shown. */
void translate_from_nothing(struct translation *t);

/* "key = value". */
void translate_set(struct translation *t, const char *key, struct span value);
void translate_setf(struct translation *t, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A comment; and one that somebody has to look at. */
void translate_say(struct translation *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void translate_warn(struct translation *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A section; what is written now stands in it. */
void translate_route(struct translation *t, const char *name, const char *key, struct span value);

/* host:port, where the host may be an address: for the key `hosts`, behind `before`. */
void translate_host(struct buf *hosts, struct span host, struct span port);

/*
 * "key = FILE", where FILE is this name in our directory, or in that of translate_begin: there it
 * is made, if it is not there, with these rights, for the user of Postern. False: it is to be made
 * by somebody, or was there and says something else, which is a warning.
 */
bool translate_file(struct translation *t, const char *key, const char *name, struct span text,
	mode_t mode);

/* How we log in at the hosts of this section. */
void translate_login(struct translation *t, struct span user, struct span password);

/* What becomes of a setting whose meaning does not depend on others. */
struct rule {
	const char *name;
	enum rule_kind {
		RULE_SAME,   /* `what` is our key, which takes the value as it is */
		RULE_BY,     /* `by` translates it, to our key `what` if that is one */
		RULE_NEEDLESS, /* there is nothing to do; `what` says why, or is NULL */
		RULE_CANNOT, /* `what` says what we cannot, and what to do */
		RULE_ROUTE,  /* it was dealt with, or will be, where it stands beside others */
	} kind;
	const char *what;
	void (*by)(struct translation *t, struct sheet *s, const struct told *setting,
		const char *key);
};

/* All settings of a sheet, each by the last of its name. Those that no rule has are warnings. */
void translate_by_rules(struct translation *t, struct sheet *s, const struct rule *rules, int n);

#endif
