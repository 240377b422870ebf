/* together: what keys say that are right one by one, and wrong together. */
#ifndef POSTERN_TOGETHER_H
#define POSTERN_TOGETHER_H

#include "conf/keys.h"

/*
 * When all are set. 0, or -EINVAL and a line in *s->why, where they contradict each other or make
 * what nobody means to have; what somebody ought to look at is a doubt.
 */
int together_check(struct setting *s);

#endif
