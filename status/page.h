/*
 * page: figures as one page of HTML, without a script and without anything from elsewhere.
 *
 * Readable on a telephone, dark where the browser is. It tells what was counted since the boot,
 * what waits now, and, where samples are taken (samples.h), how the last day went. A chart whose
 * figures are missing says so and what to do.
 */
#ifndef POSTERN_PAGE_H
#define POSTERN_PAGE_H

#include "lib/buf.h"
#include "status/figures.h"

void page_write(struct buf *out, const struct figures *f);

#endif
