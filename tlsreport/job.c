#include "tlsreport/job.h"

#include <sys/stat.h>

#include "process/log.h"

void
job_tell(const struct job *j, int priority, const char *what)
{
	struct log_fields f = { .event = "tls_report" };
	log_event(priority, &f, "report on TLS for %s on %s: %s", j->domain, j->day, what);
}

void
job_put_off(const struct job *j, int64_t until)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = until } };
	(void)futimens(j->dir, t);
}
