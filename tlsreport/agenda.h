/*
 * agenda: what a run has to try, in the order in which that is fair.
 *
 * What was never tried comes by itself, and what was tried in vain by itself, for each of the two
 * has its own share of a run (due.h): so whoever answers nobody, however many names he has, keeps
 * others' reports waiting for a part of the time, and never for good. Of the first, each domain has
 * one place tried before any has its second one, and the domain whose time came first is first. Of
 * the others it is who has waited longest.
 *
 * A name costs nothing below a domain that one has, and a domain costs something. So domains that
 * share their last two labels take turns with all others as if they were one: who has two thousand
 * names whose nameserver says nothing is asked for one of them each time that everybody else is.
 * (Below "co.uk" many have to share a turn; but only while somebody there makes others wait.)
 */
#ifndef POSTERN_AGENDA_H
#define POSTERN_AGENDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mail/lane_name.h"
#include "queue/tally.h"

struct agenda_item {
	char day[TALLY_DAY], domain[LANE_NAME_SIZE];
	int place;    /* of those of the domain; 0 where there is nothing to choose */
	bool again;   /* it was tried before */
	int64_t when; /* s: since when its time has come, for the first try or for another one */
	size_t rank;  /* of agenda_sort: so many of those with the same last labels come before */
	bool ended;   /* not in this run any more */
};

/* Begins as { 0 }. */
struct agenda {
	struct agenda_item *v; /* owned */
	size_t n, room;
};

/* Adds a copy. 0 or -ENOMEM. */
int agenda_add(struct agenda *a, const struct agenda_item *item);

/* Brings them into order: the first tries, then the others. */
void agenda_sort(struct agenda *a);

/* A domain took all the time of a try: nothing else of it is tried in this run, of any day. */
void agenda_end(struct agenda *a, const char *domain);

void agenda_free(struct agenda *a);

#endif
