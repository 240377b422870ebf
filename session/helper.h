/*
 * helper: the session's side of the programs that its monitor starts for it.
 */
#ifndef POSTERN_HELPER_H
#define POSTERN_HELPER_H

#include "lib/stream.h"
#include "lib/tlsinfo.h"
#include "process/authwire.h"
#include "process/request.h"

/*
 * Starts tls and waits until it is ready: it has read its files. An fd for helper_tls_begin, to be
 * closed by the caller; -EPROTO if there can be no TLS, and the connection is as it was;
 * -ETIMEDOUT; -ECANCELED if *stop is set (wait.h).
 */
int helper_tls(int monitor, int64_t deadline, const volatile int *stop);

/*
 * Has tls, which is ready, put between the connection (standard input and output) and the session,
 * and waits until it shook hands. `name` is the client, for its log. Nothing may be left unsent or
 * unread in *s, which starts anew. 0; -ETIMEDOUT; -EPROTO if there is no TLS, and then no
 * connection either.
 */
int helper_tls_begin(int fd, const char *name, struct stream *s, int64_t deadline,
	struct tlsinfo *info);

/* Starts auth. An fd for helper_auth_step, to be closed by the caller, or -errno. */
int helper_auth(int monitor, const struct auth_hello *hello);

/*
 * Says `text` (NULL: nothing yet) and waits for the answer. 0: *reply is filled, its text ends with
 * NUL; -ETIMEDOUT; -ECANCELED if *stop is set (wait.h); -EPROTO.
 */
int helper_auth_step(int fd, const struct span *text, int64_t deadline, const volatile int *stop,
	struct auth_text *reply);

/* Has the monitor connect anew to what listens to our log. 0 or -errno. */
int helper_log(int monitor);

enum check_result { CHECK_OK, CHECK_REJECT, CHECK_DEFER, CHECK_STOPPED };

enum { CHECK_TEXT = 256 };

/*
 * Asks a program of the site: one line of question, one line of answer, "OK", "REJECT text" or
 * "DEFER text" (printable ASCII). Anything else, and silence, is DEFER with an empty text; STOPPED
 * if *stop is set meanwhile.
 */
enum check_result helper_check(int monitor, enum request_kind kind, struct span question,
	int64_t deadline, const volatile int *stop, char text[static CHECK_TEXT]);

#endif
