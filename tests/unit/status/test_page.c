/* page: whatever text is in the figures, the page has no element of it. */
#include "tests/unit/unit.h"

#include <string.h>

#include "status/page.h"

static struct figures f;

static const char *
written(void)
{
	static char text[1 << 18];
	struct buf out = buf_new(sizeof(text) - 1);
	page_write(&out, &f);
	assert_int_equal(out.err, 0);
	memcpy(text, out.p, out.n);
	text[out.n] = '\0';
	buf_free(&out);
	return text;
}

static int
count(const char *text, const char *word)
{
	int n = 0;
	for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

static void
test_hostile(void **state)
{
	(void)state;
	static const char bad[] = "</title><script>x</script>\"'&\x01\xff";
	static const char shown[] =
		"&#60;/title&#62;&#60;script&#62;x&#60;/script&#62;&#34;&#39;&#38;\\x01\\xff";
	f = (struct figures){ .now = 1796000000,
		.surveyed = true,
		.uncounted = bad,
		.queue = { .n = 1, .messages = 1, .lanes = 1 } };
	snprintf(f.hostname, sizeof(f.hostname), "%s", bad);
	f.queue.top[0] = (struct survey_lane){ .messages = 1 };
	snprintf(f.queue.top[0].name, sizeof(f.queue.top[0].name), "%s", bad);
	const char *text = written();
	assert_null(strstr(text, "<script"));
	assert_int_equal(count(text, shown), 5); /* title, h1, why, title of the bar, table */
	for (const char *p = text; *p != '\0'; p++)
		assert_true((*p >= 0x20 && *p < 0x7f) || *p == '\n');
	f = (struct figures){ .unsurveyed = bad, .counted = true };
	assert_non_null(strstr(written(), shown));
}

/* The largest numbers, and as many lanes as there are places. */
static void
test_extremes(void **state)
{
	(void)state;
	f = (struct figures){
		.now = 1796000000, .counted = true, .surveyed = true, .samples = SAMPLES_MAX
	};
	memset(f.value, 0xff, sizeof(f.value));
	memset(&f.queue, 0x7f, sizeof(f.queue));
	f.queue.n = SURVEY_LANES;
	for (int i = 0; i < SURVEY_LANES; i++) {
		memset(f.queue.top[i].name, '<', sizeof(f.queue.top[i].name) - 1);
		f.queue.top[i].name[sizeof(f.queue.top[i].name) - 1] = '\0';
		f.queue.top[i].down = true;
	}
	for (int i = 0; i < SAMPLES_MAX; i++)
		f.sample[i] = (struct sample){ .time = f.now - (SAMPLES_MAX - i) * 60,
			.accepted = (uint64_t)i * (UINT64_MAX / SAMPLES_MAX) };
	const char *text = written();
	assert_null(strstr(text, "<<"));
	assert_null(strstr(text, "=\"-"));
	assert_non_null(strstr(text, "over 24 hours"));
}

/* Less than before means that the host was started anew between two samples. */
static void
test_boot_between(void **state)
{
	(void)state;
	f = (struct figures){ .now = 1796000000, .samples = 3, .uncounted = "", .unsurveyed = "" };
	f.sample[0] = (struct sample){ .time = f.now - 120, .accepted = 100 };
	f.sample[1] = (struct sample){ .time = f.now - 60, .accepted = 104 };
	f.sample[2] = (struct sample){ .time = f.now, .accepted = 2 };
	assert_non_null(
		strstr(written(), "class=\"end axis\">6</text>")); /* 4 and 2, the most of all */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_boot_between),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
