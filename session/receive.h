/*
 * receive: the data of a message, by DATA or by BDAT, and what becomes of it.
 */
#ifndef POSTERN_RECEIVE_H
#define POSTERN_RECEIVE_H

#include "session/session.h"

/* The message behind DATA, with the reply to its end; false if the session ends with it. */
bool receive_message(struct session *s);

/*
 * The command BDAT: the next chunk of a message. Where its size is not understood, its octets
 * cannot be told from the next command: that is the end.
 */
enum reply receive_bdat(struct session *s, struct span arg);

#endif
