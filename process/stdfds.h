/* stdfds: what stands at file descriptors 0, 1 and 2 when a program starts. */
#ifndef POSTERN_STDFDS_H
#define POSTERN_STDFDS_H

/*
 * Opens what nobody reads or writes: /dev/null, or where there is none, as in a chroot, a
 * directory. -1 and errno.
 */
int stdfds_nothing(void);

/* Puts that where nothing is open, so that no file we open becomes a standard one (K6). */
void stdfds_fill(void);

/*
 * Of a program that tells something, behind stdfds_fill: if there was no standard output, what is
 * printed fails, and does not vanish. Mail is taken whoever hears of it.
 */
void stdfds_lose_output(void);

/*
 * Closes all from `first` on, which must be above the standard ones: what else was inherited is
 * nobody's business here (K1). On kernels without close_range, and where it is forbidden, too.
 */
void stdfds_close_from(int first);

/*
 * Under inetd standard error is the client. If it is a connection of the Internet, the same socket
 * or pipe as standard input or output, or if that cannot be told, it becomes /dev/null: whatever is
 * written there, by us, by a C library or by a relay that inherits it, must not reach the client.
 */
void stdfds_hide_client(void);

#endif
