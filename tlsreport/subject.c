#include "tlsreport/subject.h"

#include <sys/stat.h>

#include "process/log.h"

void
subject_tell(const struct subject *s, int priority, const char *what)
{
	struct log_fields f = { .event = "tls_report" };
	log_event(priority, &f, "report on TLS for %s on %s: %s", s->domain, s->day, what);
}

void
subject_put_off(const struct subject *s, int64_t until)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = until } };
	(void)futimens(s->dir, t);
}
