/* say: each reply that refuses has its counter, and is counted whenever it is said. */
#include "tests/unit/session/configured.h"

#include <ctype.h>
#include <fcntl.h>

#include "lib/clock.h"
#include "session/say.h"
#include "tests/unit/counted.h"

static struct session s; /* large */

/* The table of counters, as far as it is about replies. */
static const struct {
	const char *name, *text;
	enum counter counter;
} counters[] = {
#define IS_C(id, name, unit, help) { name, help, COUNTER_##id },
#define IS_H(id, name, unit, help)
	COUNTERS_TABLE(IS_C, IS_H)
};

static const struct {
	enum reply r;
	const char *id;
} replies[] = {
#define IS_REPLY(id, code, text, kind) { R_##id, #id },
	REPLY_TABLE(IS_REPLY)
};

static void
begin(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	configure(&s.conf, "");
	s.client.end = CLOCK_NEVER;
	stream_init(&s.client.stream, fd, fd, true, NULL);
}

/* The place of a reply's counter in the table; -1: it has none. */
static int
find(const char *id)
{
	char name[64];
	size_t n = (size_t)snprintf(name, sizeof(name), "refused_%s", id);
	for (size_t i = 0; i < n; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	for (size_t i = 0; i < ROWS(counters); i++)
		if (strcmp(counters[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* Of all that refuse, this one alone is counted, in its class; and its row says what is said. */
static void
check_refusal(enum reply r, int place)
{
	char text[512];
	const struct reply_row *row = reply_row(r);
	bool soft = row->code[0] == '4';
	snprintf(text, sizeof(text), "%s %s", row->code, row->text);
	assert_true(place >= 0);
	assert_string_equal(counters[place].text, text);
	assert_int_equal(count_of(counters[place].counter), 1);
	assert_int_equal(count_of(COUNTER_REFUSED_4YZ), soft);
	assert_int_equal(count_of(COUNTER_REFUSED_5YZ), !soft);
}

static void
test_refusals(void **state)
{
	(void)state;
	begin();
	for (size_t i = 0; i < ROWS(replies); i++) {
		enum reply_kind kind = reply_row(replies[i].r)->kind;
		bool refuses = kind != REPLY_OK && kind != REPLY_LEAVE;
		int place = find(replies[i].id);
		count_anew();
		say_reply(&s, replies[i].r);
		assert_int_equal(count_between(0, COUNTERS - 1), refuses ? 2 : 0);
		if (refuses)
			check_refusal(replies[i].r, place);
		else
			assert_int_equal(place, -1);
	}
}

/* What counts against max_errors; the one too many is said, and so is the reply that ends it. */
static void
test_errors(void **state)
{
	(void)state;
	begin();
	s.conf.receive.max_errors = 2;
	count_anew();
	assert_true(say_and_count(&s, R_UNKNOWN_COMMAND, span_of("FOO")));
	assert_true(say_and_count(&s, R_TOO_MANY_RCPT, span_of("RCPT")));
	assert_true(say_and_count(&s, R_FINE, span_of("NOOP")));
	assert_int_equal(count_of(COUNTER_ERRORS), 1);
	assert_false(say_and_count(&s, R_UNKNOWN_COMMAND, span_of("FOO")));
	assert_int_equal(count_of(COUNTER_ERRORS), 2);
	assert_int_equal(count_of(COUNTER_REFUSED_UNKNOWN_COMMAND), 2);
	assert_int_equal(count_of(COUNTER_REFUSED_TOO_MANY_ERRORS), 1);
	assert_false(say_and_count(&s, R_BYE, span_of("QUIT")));
	assert_false(s.client.linger); /* who says goodbye reads on to the end */
	assert_int_equal(count_of(COUNTER_ERRORS), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests_name("say", tests, NULL, NULL);
}
