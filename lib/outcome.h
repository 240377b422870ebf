/*
 * outcome: how an attempt ended, the same three words from dns to exit status.
 *
 * What is not understood is SOFT: a message is given up only on a clear permanent answer.
 */
#ifndef POSTERN_OUTCOME_H
#define POSTERN_OUTCOME_H

enum outcome {
	DONE, /* it worked */
	SOFT, /* not now: keep it and try again */
	HARD, /* never: tell the sender */
};

#endif
