/*
 * say: writes replies to the client; no other module of the session does.
 */
#ifndef POSTERN_SAY_H
#define POSTERN_SAY_H

#include "session/session.h"

void say_text(struct session *s, const char *text);
void say_reply(struct session *s, enum reply r);

/* The same, and counts and logs refusals; `what` was refused. False if the session ends with it. */
bool say_and_count(struct session *s, enum reply r, struct span what);

/* The last word to a client from whom nothing more is read. */
enum reply say_to_silence(enum stream_result res);

#endif
