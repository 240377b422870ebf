/* signer: what becomes of questions to sign, whatever that says or does not say. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/crc.h"
#include "lib/wait.h"
#include "mail/dkim.h"
#include "sending/signer.h"

static const char table[] = "a.example s /k\n";
static char path[] = "/tmp/signer-XXXXXX";
static const uint8_t hash[SIGN_HASH] = { 1, 2, 3 };

/* A signer, and the end of sign. */
static struct signer signer;
static int sign;

static struct sign_hello
hello_of(const char *text)
{
	return (struct sign_hello){ .sum = crc32c(0, text, strlen(text)), .keys = 1,
		.algorithm = { DKIM_RSA } };
}

/* Begins with sign having said this. As signer_begin. */
static int
begin(const void *said, size_t n, struct buf *why)
{
	int ends[2];
	const struct conf_dkim conf = { .keys = path };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	sign = ends[1];
	if (n > 0)
		assert_int_equal(send(sign, said, n, 0), n);
	else
		close(sign);
	return signer_begin(&signer, &conf, ends[0], why);
}

static void
test_begin(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	struct sign_hello hello = hello_of(table), other = hello_of("b.example s /k\n");
	assert_int_equal(begin(&hello, sizeof(hello), &why), 0);
	assert_int_equal(signer.hello.algorithm[0], DKIM_RSA);
	assert_false(signer.blind);
	signer_end(&signer);
	close(sign);

	/* another table */
	assert_int_equal(begin(&other, sizeof(other), &why), -EINVAL);
	assert_int_equal(signer.hello.algorithm[0], DKIM_NONE);
	assert_false(signer.blind);
	assert_int_equal(signer_ask(&signer, 0, hash, (uint8_t[SIGN_SIGNATURE]){ 0 }), -ENOTCONN);
	signer_end(&signer);
	close(sign);

	/* half of it, and nothing */
	buf_reset(&why);
	assert_int_equal(begin(&hello, sizeof(hello) / 2, &why), -EINVAL);
	assert_true(why.n > 0);
	signer_end(&signer);
	close(sign);
	buf_reset(&why);
	assert_int_equal(begin(NULL, 0, &why), -EINVAL);
	assert_true(why.n > 0);
	signer_end(&signer);
}

static void
test_no_sign(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	static char nowhere[] = "/nonexistent";
	const struct conf_dkim conf = { .keys = path }, none = { .keys = nowhere };
	assert_int_equal(signer_begin(&signer, &conf, -1, &why), 0);
	assert_int_equal(signer.keys.n, 1);
	assert_int_equal(signer.hello.algorithm[0], DKIM_NONE);
	assert_false(signer.blind);
	signer_end(&signer);
	assert_int_equal(signer_begin(&signer, &none, -1, &why), -EINVAL);
	assert_true(signer.blind);
	signer_end(&signer);
}

static void
answer(uint32_t n, size_t size)
{
	struct sign_reply r = { .n = n, .signature = "signature" };
	assert_int_equal(send(sign, &r, size, 0), size);
}

static void
test_ask(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	struct sign_hello hello = hello_of(table);
	struct sign_question q;
	uint8_t out[SIGN_SIGNATURE];
	assert_int_equal(begin(&hello, sizeof(hello), &why), 0);
	answer(9, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), 9);
	assert_memory_equal(out, "signature", 9);
	assert_int_equal(recv(sign, &q, sizeof(q), 0), sizeof(q));
	assert_int_equal(q.key, 0);
	assert_memory_equal(q.hash, hash, SIGN_HASH);
	/* a key that failed: others may do */
	answer(0, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), -EBADMSG);
	answer(SIGN_SIGNATURE + 1, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), -EBADMSG);
	answer(9, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), 9);
	/* what is no reply: nothing is asked any more, and nothing that comes later is heard */
	answer(9, sizeof(struct sign_reply) - 1);
	answer(9, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), -EPIPE);
	assert_int_equal(signer_ask(&signer, 0, hash, out), -ENOTCONN);
	signer_end(&signer);
	close(sign);
}

static void
test_gone(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	struct sign_hello hello = hello_of(table);
	uint8_t out[SIGN_SIGNATURE];
	assert_int_equal(begin(&hello, sizeof(hello), &why), 0);
	close(sign);
	assert_int_equal(signer_ask(&signer, 0, hash, out), -EPIPE);
	assert_int_equal(signer.fd, -1);
	signer_end(&signer);
}

/* A courier that is to give way has its answer all the same, and leaves sign to the others. */
static void
test_told(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	struct sign_hello hello = hello_of(table);
	uint8_t out[SIGN_SIGNATURE];
	auto_fd told = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(begin(&hello, sizeof(hello), &why), 0);
	wait_until_told(told);
	answer(9, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), 9);
	wait_until_told(-1);
	assert_false(signer_take_loss(&signer));
	signer_end(&signer);
	close(sign);
}

/* Another sign takes the place of one that is gone, if it has read the same table. */
static void
test_renew(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	struct sign_hello hello = hello_of(table), other = hello_of("b.example s /k\n");
	uint8_t out[SIGN_SIGNATURE];
	int ends[2];
	assert_int_equal(begin(&hello, sizeof(hello), &why), 0);
	assert_false(signer_take_loss(&signer));
	close(sign);
	assert_int_equal(signer_ask(&signer, 0, hash, out), -EPIPE);
	assert_true(signer_take_loss(&signer));
	assert_false(signer_take_loss(&signer));
	assert_int_equal(signer_ask(&signer, 0, hash, out), -ENOTCONN);
	assert_true(signer_take_loss(&signer)); /* who asks again says so again */

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(send(ends[1], &other, sizeof(other), 0), sizeof(other));
	assert_int_equal(signer_renew(&signer, ends[0]), -EINVAL);
	assert_int_equal(send(ends[1], &other, sizeof(other), MSG_NOSIGNAL), -1); /* it was closed */
	close(ends[1]);
	assert_int_equal(signer_ask(&signer, 0, hash, out), -ENOTCONN);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	sign = ends[1];
	assert_int_equal(send(sign, &hello, sizeof(hello), 0), sizeof(hello));
	assert_int_equal(signer_renew(&signer, ends[0]), 0);
	answer(9, sizeof(struct sign_reply));
	assert_int_equal(signer_ask(&signer, 0, hash, out), 9);
	signer_end(&signer);
	close(sign);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_no_sign),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_renew),
	};
	int fd = mkstemp(path);
	if (fd < 0 || write(fd, table, strlen(table)) < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
