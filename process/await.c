#include "process/await.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/launch.h"

/* Its own ones and those of one client. One that was taken over can hold no more clients. */
enum { DESCRIPTORS = 16 };

void
await_begin(void)
{
	static const struct rlimit descriptors = { DESCRIPTORS, DESCRIPTORS };
	close(LAUNCH_SECOND_FD); /* the same once more */
	(void)setrlimit(RLIMIT_NOFILE, &descriptors);
}

bool
await_client(int fds[static REQUEST_FDS], int n)
{
	struct request r;
	int came;
	if (send(LAUNCH_FIRST_FD, "", 1, MSG_NOSIGNAL) != 1 ||
		request_receive(LAUNCH_FIRST_FD, &r, fds, &came) != 1)
		return false;
	if (came == n)
		return true;
	for (int i = 0; i < came; i++)
		close(fds[i]);
	return false;
}
