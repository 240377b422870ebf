/* message_id: the Message-ID of a message, in a form that can stand in any line (L30), wherever the input is split. */
#include "tests/unit/unit.h"

#include "mail/message_id.h"

static const struct {
	const char *in, *want;
	bool over; /* it is known before the end */
} rows[] = {
	{ "", "", false },
	{ "Message-ID: <1@a.example>\r\nA: b\r\n", "1@a.example", true },
	{ "A: b\r\nmessage-id:<1@a.example>\r\n\r\n", "1@a.example", true },
	{ "MESSAGE-ID \t: \t<1@a.example> \t\r\n\r\n", "1@a.example", true },
	{ "Message-ID: <1@a.example>", "1@a.example", false },
	/* folded, as long ones are */
	{ "Message-ID:\r\n\t<1@a.example>\r\n\r\n", "1@a.example", true },
	{ "Message-ID:\r\n \r\n <1@a.example>\r\n (x)\r\n\r\n", "1@a.example", true },
	/* the first one, and of the header */
	{ "Message-ID: <1@a.example>\r\nMessage-ID: <2@a.example>\r\n\r\n", "1@a.example", true },
	{ "Message-ID:\r\nMessage-ID: <2@a.example>\r\n\r\n", "", true },
	{ "\r\nMessage-ID: <1@a.example>\r\n", "", true },
	{ "A: b\r\n\r\nMessage-ID: <1@a.example>\r\n", "", true },
	{ "A: b\n\nMessage-ID: <1@a.example>\n", "", true },
	/* other fields */
	{ "X-Message-ID: <1@a.example>\r\nResent-Message-ID: <2@a.example>\r\n\r\n", "", true },
	{ "Message-IDs: <1@a.example>\r\nMessage-I: <2@a.example>\r\n\r\n", "", true },
	{ "Subject: x\r\n Message-ID: <1@a.example>\r\n\r\n", "", true },
	{ "Message-ID\r\n: <1@a.example>\r\nMessage\r\n-ID: <1@a.example>\r\n\r\n", "", true },
	{ "Mess\nMessage-ID x: <2@a.example>\nMessage-ID: <1@a.example>\n\n", "1@a.example", true },
	{ "Message-ID Message-ID: <1@a.example>\r\n\r\n", "", true },
	/* no brackets, or more than that */
	{ "Message-ID: 1@a.example \r\n\r\n", "1@a.example", true },
	{ "Message-ID: <1@a.example> <2@a.example>\r\n\r\n", "1@a.example", true },
	{ "Message-ID: < 1@a.example >\r\n\r\n", "1@a.example", true },
	{ "Message-ID: <1@a.example\r\n\r\n", "1@a.example", true },
	{ "Message-ID: <>\r\n\r\n", "", true },
	/* what a stranger may have in mind */
	{ "Message-ID: <a b\"<c\\\x1b\x7f\xc3>\r\n\r\n", "a\\x20b\\x22\\x3cc\\x5c\\x1b\\x7f\\xc3",
		true },
	{ "Message-ID: x> status=sent\r\n\r\n", "x\\x3e\\x20status=sent", true },
	{ "Message-ID: <a\r\n b>\r\n\r\n", "a\\x20b", true },
};

static void
feed(struct header *h, struct message_id *m, struct span in)
{
	struct header_part part;
	while (header_next(h, &in, &part))
		message_id_hear(m, &part);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			struct header h = { 0 };
			struct message_id m;
			char out[MESSAGE_ID_TEXT];
			memset(&m, 0xff, sizeof(m));
			message_id_begin(&m);
			feed(&h, &m, (struct span){ in.p, split });
			feed(&h, &m, span_skip(in, split));
			message_id_text(&m, out);
			bool over = h.over || (m.value.fields > 0 && !m.value.here);
			if (strcmp(out, rows[i].want) != 0 || over != rows[i].over)
				fail_msg("%s at %zu: %s", rows[i].in, split, out);
		}
	}
}

/* However long it is, and whatever is in it: what somebody asks for has the same form. */
static void
test_long(void **state)
{
	(void)state;
	static const char fill[] = { 'x', '\x80' };
	for (size_t kind = 0; kind < ROWS(fill); kind++)
		for (size_t n = 1; n < 2000; n++) {
			char text[2048], field[MESSAGE_ID_TEXT], asked[MESSAGE_ID_TEXT];
			struct {
				struct message_id m;
				char behind;
			} s = { .behind = 'z' };
			struct header h = { 0 };
			int begin = snprintf(text, sizeof(text), "Message-ID: <");
			memset(text + begin, fill[kind], n);
			memcpy(text + begin + n, ">\r\n\r\n", 5);
			message_id_begin(&s.m);
			feed(&h, &s.m, guarded((struct span){ text, (size_t)begin + n + 5 }));
			message_id_text(&s.m, field);
			assert_int_equal(s.behind, 'z');
			message_id_shown(guarded((struct span){ text + begin, n }), asked);
			assert_string_equal(field, asked);
			size_t each = kind == 0 ? 1 : 4, most = (MESSAGE_ID_TEXT - 1) / each;
			assert_int_equal(strlen(field), (n < most ? n : most) * each);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests_name("message_id", tests, NULL, NULL);
}
