/*
 * metrics: figures for a collector, as OpenMetrics 1.0 or as the older text format 0.0.4 (which
 * node_exporter reads from files).
 *
 * Names are those of the counters behind "postern_" and before "_total"; those that are one thing
 * for several reasons are one metric with a label: postern_refused_total{reason="no_relay"}.
 * Histograms are in seconds. The queue is a gauge for all, and one for each of the fullest lanes. A
 * label may hold anything.
 */
#ifndef POSTERN_METRICS_H
#define POSTERN_METRICS_H

#include "lib/buf.h"
#include "status/figures.h"

enum metrics_format { METRICS_OPEN, METRICS_TEXT };

#define METRICS_OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_write(struct buf *out, const struct figures *f, enum metrics_format format);

#endif
