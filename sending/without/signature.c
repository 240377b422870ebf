/* signature.h in a build without TLS (make TLS=0): who is to sign needs another one. */
#include "sending/signature.h"

enum outcome
signature_add(struct link *l, struct text *t, struct buf *room)
{
	(void)t, (void)room;
	if (l->terms.signer == NULL)
		return DONE;
	link_say(l, "DKIM", "this relay was built without TLS, and cannot sign");
	return SOFT;
}
