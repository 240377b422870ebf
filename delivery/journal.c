#include "delivery/journal.h"

#ifdef POSTERN_NO_SYSTEMD

void
journal_load(void)
{
	/* Nobody misses it: entries go there in datagrams of our own. */
}

#else
#include <systemd/sd-journal.h>

#include "lib/library.h"
#include "process/log.h"

void
journal_load(void)
{
	if (!log_goes_to_journal())
		return;
	void *so = library_load("libsystemd.so.0");
	__typeof__(sd_journal_sendv) *send;
	if (so != NULL && library_find(so, "sd_journal_sendv", &send))
		log_journal_by(send);
}
#endif
