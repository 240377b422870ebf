/*
 * say: writes replies to the client; no other module of the session does.
 */
#ifndef POSTERN_SAY_H
#define POSTERN_SAY_H

#include "session/session.h"

/* As it is, without a code and without an end of line. */
void say_text(struct session *s, const char *text);

/* A reply of the table, with the values that its text names. */
void say_reply(struct session *s, enum reply r);

/* As say_reply, and counts and logs refusals; `what` was refused. False if the session ends. */
bool say_and_count(struct session *s, enum reply r, struct span what);

/* The last reply to a client from which nothing more is read. */
enum reply say_to_silence(enum stream_result res);

#endif
