/*
 * crew: the workers of a pool (pool.h), each with what is known of it: their beginning and end.
 */
#ifndef POSTERN_CREW_H
#define POSTERN_CREW_H

#include "process/monitor.h"
#include "process/sources.h"

enum pool_role { POOL_WORKER, POOL_REFUSER };

/*
 * In a new process: serves until it is to end. Its requests go to `monitor`, its clients' networks
 * stand at `own`. The exit status.
 */
typedef int pool_work(void *ctx, int monitor, enum pool_role role, const struct source *own);

enum worker_state {
	NOBODY,   /* a free place */
	WAITING,  /* for a client */
	BUSY,     /* has one */
	LEAVING,  /* was told to end */
	REFUSING, /* turns clients away */
	WORKER_STATES,
};

struct worker {
	enum worker_state state;
	pid_t pid;
	int fd;         /* its requests; -1: it has closed them and will end */
	int64_t silent; /* when it closed them (clock.h) */
	int64_t since;  /* in this state (clock.h) */
	int64_t born;
	int64_t begun;  /* clients */
	int odd;        /* requests that no honest one makes */
	bool inherited; /* from the smtpd before, and it ends with its client */
	struct attended attended;
};

struct crew {
	const struct conf *conf;
	pool_work *work;
	void *ctx;
	struct worker *workers;
	int places;         /* in that table */
	struct sources sources; /* networks of their clients, by the number of their place */
	int count[WORKER_STATES];
	int epoll;          /* their sockets, by the number of their place */
	int slot;           /* the number that a worker's own end has in it */
	bool left;          /* one ended without a client: it may have been woken for one */
	int crashes;        /* those that a fault of their own has ended */
	int failures;       /* those in a row that ended before their first client */
	int64_t pause;      /* nobody is started before (clock.h) */
	int64_t last;       /* when the last client was there */
	int64_t rounds;     /* when those are looked for that are too long at it */
};

/*
 * Makes an empty table; conf, work and ctx are set. `heirs`: so many will be adopted, and there may
 * have been more at once than now. 0 or -errno.
 */
int crew_open(struct crew *c, int heirs);

/* The table goes; those in it stay who they are. */
void crew_close(struct crew *c);

/* How many there are. */
static inline int
crew_alive(const struct crew *c)
{
	return c->places - c->count[NOBODY];
}

void crew_become(struct crew *c, struct worker *w, enum worker_state state);

/* Forks one. False: it cannot be done now, which is logged once, and there is a pause. */
bool crew_start(struct crew *c, enum pool_role role);

/*
 * One of the smtpd before, whose requests come from `fd` and whose client is of that network
 * (sources.h): it ends behind its client.
 */
void crew_adopt(struct crew *c, pid_t pid, int fd, uint64_t network);

/* The network that one says its client is of. */
uint64_t crew_network(const struct crew *c, const struct worker *w);

/* Are their sockets for the next program in this process, too, or for none but this one? */
void crew_share(struct crew *c, bool next);

/* They are to end when they have no client. */
void crew_retire_all(struct crew *c);
void crew_retire_some(struct crew *c, int n, enum worker_state state);

/* Nothing more is heard of it: it ends, or else it is killed soon. */
void crew_hang_up(struct crew *c, struct worker *w);

/* A child ended. Was it one of them? */
bool crew_bury(struct crew *c, pid_t pid, int status);

/* It does what no honest one does; the log says why. */
void crew_kill(struct worker *w, const char *why);

/* The same, of all that are left when none should be. */
void crew_kill_all(struct crew *c);

/* Ends those that are at it for longer than there can be a reason for. */
void crew_make_rounds(struct crew *c, int64_t now);

#endif
