/* enrol: a line for the file of users (users.h). */
#ifndef POSTERN_ENROL_H
#define POSTERN_ENROL_H

/*
 * Reads a password from standard input and prints the line of this user, with a secret for each
 * mechanism that has one. The exit status: 0; EX_USAGE or EX_DATAERR: the name or the password
 * cannot stand there, which standard error says; EX_NOINPUT; EX_SOFTWARE.
 */
int enrol_user(const char *name);

#endif
