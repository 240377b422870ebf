#include "mail/message_id.h"

#include "mail/header.h"

static const char name[] = "message-id";
enum { NAME = sizeof(name) - 1 };

void
message_id_begin(struct message_id *m)
{
	m->place = MESSAGE_ID_NAME;
	m->name = m->n = 0; /* not the text, which would cost memory that most never touch */
}

/* An octet in front of the colon; "Message-ID :" has blanks there (RFC 5322 section 4.5.8). */
static void
in_name(struct message_id *m, char c)
{
	bool whole = m->name == NAME;
	if (whole && c == ':')
		m->place = MESSAGE_ID_VALUE;
	else if (!whole && ascii_lower(c) == name[m->name])
		m->name++;
	else if (m->name == 0 && (c == '\r' || c == '\n'))
		m->place = MESSAGE_ID_OVER; /* of the header */
	else if (!whole || !header_is_blank(c))
		m->place = MESSAGE_ID_LINE;
}

static void
keep(struct message_id *m, struct span s)
{
	for (size_t i = 0; i < s.n && m->n < MESSAGE_ID_KEPT; i++)
		if (s.p[i] != '\r' && (m->n > 0 || !header_is_blank(s.p[i])))
			m->text[m->n++] = s.p[i];
}

/* To the end of the line, if it is there. What is left behind it. */
static struct span
in_line(struct message_id *m, struct span in)
{
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n = lf != NULL ? (size_t)(lf - in.p) : in.n;
	bool value = m->place == MESSAGE_ID_VALUE;
	if (value)
		keep(m, (struct span){ in.p, n });
	if (lf == NULL)
		return span_skip(in, n);
	m->place = value ? MESSAGE_ID_FOLD : MESSAGE_ID_NAME;
	m->name = 0;
	return span_skip(in, n + 1);
}

void
message_id_feed(struct message_id *m, struct span in)
{
	while (in.n > 0 && m->place != MESSAGE_ID_OVER) {
		if (m->place == MESSAGE_ID_NAME) {
			in_name(m, in.p[0]);
			in = span_skip(in, m->place != MESSAGE_ID_LINE); /* it may be an end */
		} else if (m->place == MESSAGE_ID_FOLD) {
			m->place = header_is_blank(in.p[0]) ? MESSAGE_ID_VALUE : MESSAGE_ID_OVER;
		} else {
			in = in_line(m, in);
		}
	}
}

static bool
is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '<' && c != '>' && c != '"' && c != '\\';
}

void
message_id_shown(struct span id, char out[static MESSAGE_ID_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	for (size_t i = 0; i < id.n; i++) {
		unsigned char c = (unsigned char)id.p[i];
		bool plain = is_plain(id.p[i]);
		if (n + (plain ? 1 : 4) >= MESSAGE_ID_TEXT)
			break;
		out[n++] = plain ? id.p[i] : '\\';
		if (plain)
			continue;
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	out[n] = '\0';
}

void
message_id_text(const struct message_id *m, char out[static MESSAGE_ID_TEXT])
{
	struct span id = { m->text, m->n };
	if (id.n > 0 && id.p[0] == '<') {
		id = span_skip(id, 1);
		id = span_cut(&id, '>');
	}
	message_id_shown(span_trim(id), out);
}
