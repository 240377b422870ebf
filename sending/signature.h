/*
 * signature: the DKIM signatures of a text that goes out (RFC 6376), made of the form in which the
 * host gets it. The file in the spool stays as it is.
 *
 * Only mail of our own is signed: of a client that may send anywhere, and reports. Anybody may
 * write our domain into mail that is passed on to relay_domains, and our signature would make it
 * true. So might a user who is let send from some addresses only (auth_users, local_senders): his
 * is signed if From is of the domain of the envelope's sender.
 *
 * Each key that the table has for the domain of From signs, or else for that of the envelope's
 * sender. Without such a key the text goes as it is, and so does one that has a signature of that
 * domain already, unless "dkim = again"; or of which nobody can say whose it is (dkim_may_sign); or
 * that goes by LMTP, to where it is read. The text is read once more for it.
 */
#ifndef POSTERN_SIGNATURE_H
#define POSTERN_SIGNATURE_H

#include "sending/body.h"

/*
 * Writes the fields of the signatures to *room, and lets *t begin with them. DONE: it is as it is
 * to go out. SOFT: it is to be signed and cannot be now, as l->text says. HARD: with them it is
 * over the limit of the host.
 */
enum outcome signature_add(struct link *l, struct text *t, struct buf *room);

#endif
