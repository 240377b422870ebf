/*
 * figures: all that the page and the metrics tell, taken at one moment.
 *
 * They are taken before a word of a client is read, and nothing is looked up behind that.
 */
#ifndef POSTERN_FIGURES_H
#define POSTERN_FIGURES_H

#include "conf/conf.h"
#include "process/counters.h"
#include "status/samples.h"
#include "status/survey.h"

struct figures {
	int64_t now; /* wall clock, s */
	char hostname[LIMIT_DOMAIN + 1];
	bool counted; /* the counters could be read; else `uncounted` says why not */
	const char *uncounted;
	uint64_t value[COUNTERS];
	bool surveyed; /* the queue could be; else `unsurveyed` says why not */
	const char *unsurveyed;
	struct survey queue;
	int samples;
	struct sample sample[SAMPLES_MAX];
};

/* Looks at everything; what cannot be read is said in *f. */
void figures_take(struct figures *f, const struct conf *c);

/* What is remembered of a minute. */
struct sample figures_sample(const struct figures *f);

/* Of these n counters, one behind the other. */
uint64_t figures_sum(const struct figures *f, enum counter first, enum counter last);

#endif
