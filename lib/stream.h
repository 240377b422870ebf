/*
 * stream: a peer's bytes in lines, and ours back, each with a deadline.
 *
 * Nothing is lost between the two: what was read beyond a line stays for the next call, and what
 * was put is flushed before anything waits for the peer (RFC 2920 section 3.2).
 */
#ifndef POSTERN_STREAM_H
#define POSTERN_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/span.h"

enum stream_result {
	STREAM_OK,
	STREAM_TOO_LONG, /* a line longer than the caller's limit; it has been thrown away */
	STREAM_BAD,      /* a line with bare CR or LF, or NUL; it has been thrown away */
	STREAM_FLOOD,    /* a line without an end */
	STREAM_EOF,
	STREAM_TIMEOUT,
	STREAM_STOPPED, /* by a signal for which *stop was set */
	STREAM_BROKEN,  /* reading or writing failed */
	STREAM_HEARD,   /* writing ended because of what the peer said meanwhile */
	STREAM_LATER,   /* of a transport: not without waiting */
};

enum { STREAM_IN = 64 * 1024, STREAM_OUT = 4096 };

/*
 * What lies between a stream and its descriptor: TLS. Neither waits: STREAM_OK, and *done octets,
 * one at least; STREAM_LATER, and in *wants the events of poll(2) to wait for; or the end.
 */
struct transport {
	enum stream_result (*read)(void *context, char *p, size_t n, size_t *done, short *wants);
	enum stream_result (*write)(void *context, const char *p, size_t n, size_t *done,
		short *wants);
};

/*
 * Listens while it speaks: as long as writing has to wait, what the peer says is read, so that two
 * that have much to say do not wait for each other (RFC 2920 section 3.1). Is what came by now a
 * reason to say no more?
 */
typedef bool stream_listener(void *listener);

struct stream {
	int in, out;
	const struct transport *below; /* NULL: nothing */
	void *context;                 /* of it */
	bool out_is_socket;
	char first;   /* octet of the line that was too long last */
	bool lenient; /* LF alone ends a line too */
	bool broken;  /* writing failed; sticks */
	bool ended;   /* nothing more comes, as was seen while writing */
	stream_listener *listens; /* NULL: what comes while it writes is read later; a socket */
	void *listener;
	const volatile int *stop;
	_Atomic uint64_t sent; /* octets, of all its connections; another thread may look at it */
	size_t head, tail; /* unread bytes in ibuf */
	size_t fill;       /* unsent bytes in obuf */
	size_t in_deep, out_deep; /* bytes of each that were ever filled */
	char obuf[STREAM_OUT]; /* beside the rest: so the first page of both is one */
	char ibuf[STREAM_IN];
};

/* What was in its buffers stays there, for stream_wipe; *s was zeroed once. */
void stream_init(struct stream *s, int in, int out, bool lenient, const volatile int *stop);

/* Leaves no octet of the peer in *s, which is zeroed, whatever was unread or unsent. */
void stream_wipe(struct stream *s);

/*
 * The next line without its end, valid until the next call. Lines longer than `limit` octets with
 * their end are TOO_LONG; after `junk` octets without an end it is a FLOOD.
 */
enum stream_result stream_line(struct stream *s, size_t limit, size_t junk, int64_t deadline,
	struct span *line);

/*
 * The next line, of which `keep` octets are kept and the rest is thrown away. It counts against
 * *left, octets of this and the lines that follow; FLOOD when those are used up. What is in it does
 * not matter.
 */
enum stream_result stream_head(struct stream *s, size_t keep, size_t *left, int64_t deadline,
	struct span *line);

/* What has been read and not used; STREAM_OK with at least one byte. Use with stream_used. */
enum stream_result stream_bytes(struct stream *s, int64_t deadline, struct span *bytes);
void stream_used(struct stream *s, size_t n);

/* Reads one octet, and nothing beyond it: what follows may be somebody else's. */
enum stream_result stream_octet(struct stream *s, int64_t deadline, char *out);

/*
 * Has the peer said something, or ended? Reads what there is, and
 * does not wait.
 */
bool stream_has_news(struct stream *s);

/* Octets of unread input. */
static inline size_t
stream_unread(const struct stream *s)
{
	return s->tail - s->head;
}

/* ... these; valid until more is read. */
static inline struct span
stream_ahead(const struct stream *s)
{
	return (struct span){ s->ibuf + s->head, stream_unread(s) };
}

/* Is there any? (the peer pipelines) */
static inline bool
stream_pending(const struct stream *s)
{
	return stream_unread(s) > 0;
}

/* Adds output; sends it when the buffer is full. Errors stick. */
void stream_put(struct stream *s, struct span bytes, int64_t deadline);

/* Sends all output. */
enum stream_result stream_flush(struct stream *s, int64_t deadline);

/* Can the kernel send a file by itself? */
static inline bool
stream_takes_files(const struct stream *s)
{
	return s->below == NULL && s->out_is_socket;
}

/*
 * Sends all output and then some of a file, up to n octets from `at` on; the socket is one that
 * does not block. Octets, 0 at the end of the file, or -errno: -EIO if the file could not be read,
 * -EINVAL if its file system has no such way; after anything else the stream is broken.
 */
ssize_t stream_file(struct stream *s, int fd, off_t at, size_t n, int64_t deadline);

/*
 * Behind the last flush: ends the output and drops what the peer still sends, until it ends too,
 * but no more than `octets`. Only a socket needs that (LIMIT_LINGER); on anything else it does
 * nothing.
 */
void stream_linger(struct stream *s, size_t octets, int64_t deadline);

#endif
