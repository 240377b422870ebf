/*
 * formats: the programs whose configuration `postern import` can read, a file of this room each.
 *
 * Each reads what lies at `path` and what is named there, and writes to *t. 0, or -errno of the
 * file that cannot be done without.
 */
#ifndef POSTERN_FORMATS_H
#define POSTERN_FORMATS_H

#include "admin/translate.h"

int postfix_translate(struct translation *t, const char *path);    /* main.cf, a null client's */
int msmtp_translate(struct translation *t, const char *path);      /* msmtprc */
int ssmtp_translate(struct translation *t, const char *path);      /* ssmtp.conf */
int nullmailer_translate(struct translation *t, const char *path); /* remotes, or its directory */
int dma_translate(struct translation *t, const char *path);        /* dma.conf */

#endif
