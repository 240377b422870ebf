#include "tlsreport/aggregate.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "report/tlsrpt.h"

enum {
	FILES = 2 * TALLY_FILES, /* of a domain; what is beyond is none of ours */
	WINDOW = 15,             /* zlib: the largest */
	GZIP = 16,               /* ... and the head of gzip around it */
	LEVEL = 9,               /* of zlib's memory */
	NAME = 32,
};

/* All sessions under one policy. */
struct entry {
	struct buf text;  /* of the policy, as it was noted */
	json_t *policy;   /* these are owned until they are put in */
	json_t *details;
	json_int_t good, bad;
};

struct entries {
	struct entry v[FILES];
	int n;
	int err; /* sticks */
};

/* ---- JSON ---------------------------------------------------------------------------------- */

/* As errors of a buffer, one of these sticks. */
static void
note(struct entries *all, int r)
{
	if (r < 0)
		all->err = -ENOMEM;
}

/* It was escaped when it was noted, and so is ASCII. */
static json_t *
text_of(struct span s)
{
	return json_stringn(s.p, s.n);
}

static json_t *
word(const char *s)
{
	return json_string(s);
}

/* The list of this name, which is made when it gets its first line. */
static void
append(struct entries *all, json_t *object, const char *name, struct span value)
{
	json_t *list = json_object_get(object, name);
	if (list == NULL) {
		list = json_array();
		note(all, json_object_set_new(object, name, list));
	}
	note(all, json_array_append_new(list, text_of(value)));
}

static json_t *
policy_of(struct entries *all, struct span text)
{
	json_t *policy = json_object();
	for (struct tlsrpt_line line; tlsrpt_next(&text, &line);) {
		if (line.field == TLSRPT_POLICY)
			note(all, json_object_set_new(policy, "policy-type", text_of(line.value)));
		else if (line.field == TLSRPT_TEXT)
			append(all, policy, "policy-string", line.value);
		else if (line.field == TLSRPT_DOMAIN)
			note(all,
				json_object_set_new(policy, "policy-domain", text_of(line.value)));
		else if (line.field == TLSRPT_MX)
			append(all, policy, "mx-host", line.value);
	}
	return policy;
}

/* The entry of this policy. NULL: there is no memory. */
static struct entry *
find(struct entries *all, struct span policy)
{
	for (int i = 0; i < all->n; i++)
		if (span_eq(buf_span(&all->v[i].text), policy))
			return &all->v[i];
	struct entry *e = &all->v[all->n];
	*e = (struct entry){ .text = buf_new(TALLY_KEY), .policy = policy_of(all, policy),
		.details = json_array() };
	all->n++;
	buf_add(&e->text, policy);
	note(all, e->text.err < 0 || e->policy == NULL || e->details == NULL ? -1 : 0);
	return e;
}

/* A line of failure-details: what stands behind the result, under the names of the RFC. */
static json_t *
detail_of(struct entries *all, struct span rest, json_int_t times)
{
	static const char *const names[TLSRPT_FIELDS] = { [TLSRPT_RESULT] = "result-type",
		[TLSRPT_FROM] = "sending-mta-ip", [TLSRPT_TO] = "receiving-ip",
		[TLSRPT_HOST] = "receiving-mx-hostname", [TLSRPT_HELO] = "receiving-mx-helo",
		[TLSRPT_WHY] = "failure-reason-code" };
	json_t *detail = json_object();
	for (struct tlsrpt_line line; tlsrpt_next(&rest, &line);)
		if (names[line.field] != NULL)
			note(all, json_object_set_new(detail, names[line.field],
				text_of(line.value)));
	note(all, json_object_set_new(detail, "failed-session-count", json_integer(times)));
	return detail;
}

/* One file. */
static void
add(struct entries *all, struct span text, int64_t times)
{
	struct span policy = tlsrpt_policy_of(text), rest = span_skip(text, policy.n);
	struct span look = rest;
	struct tlsrpt_line line;
	if (policy.n == 0 || !tlsrpt_next(&look, &line) || line.field != TLSRPT_RESULT)
		return;
	struct entry *e = find(all, policy);
	if (span_eq(line.value, span_of(tlsrpt_result_word(TLS_RESULT_SUCCESS)))) {
		e->good += times;
		return;
	}
	e->bad += times;
	note(all, json_array_append_new(e->details, detail_of(all, rest, times)));
}

/* What is in it goes with it. */
static json_t *
close_entry(struct entries *all, struct entry *e)
{
	json_t *entry = json_object(), *summary = json_object();
	note(all, json_object_set_new(entry, "policy", e->policy));
	note(all, json_object_set_new(summary, "total-successful-session-count",
		json_integer(e->good)));
	note(all, json_object_set_new(summary, "total-failure-session-count",
		json_integer(e->bad)));
	note(all, json_object_set_new(entry, "summary", summary));
	if (e->bad > 0)
		note(all, json_object_set_new(entry, "failure-details", e->details));
	else
		json_decref(e->details);
	buf_free(&e->text);
	return entry;
}

/* ---- the files of a domain ------------------------------------------------------------------ */

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names in order, so that the same files are the same report. How many, or -errno. */
static int
list(int dir, char names[static FILES][NAME])
{
	int n = 0;
	auto_dir all = dir_open(dir);
	if (all == NULL)
		return -errno;
	for (const char *name; n < FILES && (name = dir_next(all)) != NULL;)
		if (name[0] != '.' && name[0] != '@' && strlen(name) < NAME)
			snprintf(names[n++], NAME, "%s", name);
	if (errno != 0)
		return -errno;
	qsort(names, (size_t)n, NAME, compare);
	return n;
}

/* What is odd is passed by; what cannot be read now is none of that, or it would be left out. */
static void
read_all(struct entries *all, int dir)
{
	char names[FILES][NAME];
	int n = list(dir, names);
	auto_buf text = buf_new(TALLY_KEY);
	for (int i = 0; i < n; i++) {
		int64_t times;
		int r = tally_read(dir, names[i], &text, &times);
		if (r == 0)
			add(all, buf_span(&text), times);
		else if (r != -ENODATA)
			all->err = r;
	}
	if (n < 0)
		all->err = n;
}

/* ---- the whole ----------------------------------------------------------------------------- */

void
aggregate_name(struct aggregate *a, const char *host)
{
	snprintf(a->id, sizeof(a->id), "%s.%s@%s", a->day, a->domain, host);
}

static void
put_range(struct entries *all, json_t *root, const char *day)
{
	char from[NAME], to[NAME];
	json_t *range = json_object();
	snprintf(from, sizeof(from), "%sT00:00:00Z", day);
	snprintf(to, sizeof(to), "%sT23:59:59Z", day);
	note(all, json_object_set_new(range, "start-datetime", word(from)));
	note(all, json_object_set_new(range, "end-datetime", word(to)));
	note(all, json_object_set_new(root, "date-range", range));
}

static int
put_part(const char *p, size_t n, void *out)
{
	struct buf *b = out;
	buf_add(b, (struct span){ p, n });
	return b->err;
}

int
aggregate_write(const struct aggregate *a, int dir, struct buf *out)
{
	auto_memory struct entries *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	json_t *root = json_object(), *policies = json_array();
	read_all(all, dir);
	note(all, json_object_set_new(root, "organization-name", word(a->organization)));
	put_range(all, root, a->day);
	note(all, json_object_set_new(root, "contact-info", word(a->contact)));
	note(all, json_object_set_new(root, "report-id", word(a->id)));
	for (int i = 0; i < all->n; i++)
		note(all, json_array_append_new(policies, close_entry(all, &all->v[i])));
	note(all, json_object_set_new(root, "policies", policies));
	int err = all->err < 0 ? all->err : all->n == 0 ? -ENODATA : 0;
	if (err == 0 && json_dump_callback(root, put_part, out, JSON_INDENT(1)) < 0)
		err = out->err < 0 ? out->err : -ENOMEM;
	json_decref(root);
	return err;
}

int
aggregate_pack(struct span text, struct buf *out)
{
	unsigned char part[4096];
	z_stream z = { .next_in = (z_const Bytef *)(uintptr_t)text.p, .avail_in = (uInt)text.n };
	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW + GZIP, LEVEL,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	int r;
	do {
		z.next_out = part;
		z.avail_out = sizeof(part);
		r = deflate(&z, Z_FINISH);
		buf_add(out, (struct span){ (const char *)part, sizeof(part) - z.avail_out });
	} while (r == Z_OK && out->err == 0);
	deflateEnd(&z);
	return out->err < 0 ? out->err : r == Z_STREAM_END ? 0 : -ENOMEM;
}
