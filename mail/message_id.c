#include "mail/message_id.h"

static const struct span name = { "Message-ID", 10 };

void
message_id_begin(struct message_id *m)
{
	/* not the text, which would cost memory that most never touch */
	m->value = (struct header_value){ 0 };
}

void
message_id_hear(struct message_id *m, const struct header_part *part)
{
	header_take(&m->value, part, name, m->text, sizeof(m->text));
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
	struct span id = { m->text, m->value.n };
	if (id.n > 0 && id.p[0] == '<') {
		id = span_skip(id, 1);
		id = span_cut(&id, '>');
	}
	message_id_shown(span_trim(id), out);
}
