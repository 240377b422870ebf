/*
 * commands: the table of commands, what must have been said before each, and what the simple ones
 * do.
 */
#ifndef POSTERN_COMMANDS_H
#define POSTERN_COMMANDS_H

#include "session/session.h"

/*
 * The reply to what stream_line returned. If that is a command, it has been run; R_START_DATA and
 * R_START_TLS are left to the caller to go on with.
 */
enum reply commands_answer(struct session *s, enum stream_result res, struct span line);

/*
 * Notes, before it is answered, whether a line may belong to AUTH: a client that does not wait
 * until AUTH is refused goes on with its password, which then comes as a command that is unknown.
 */
void commands_hush(struct session *s, struct span line);

/*
 * What may stand in the log of a line that was noted: neither what AUTH carries, nor the place of a
 * BDAT, into which its chunk was read.
 */
struct span commands_loggable(const struct session *s, struct span line);

#endif
