/*
 * How busy a listener on a unix socket is: what a process that is to be stopped without a lost request must have none of. A socket that
 * listens is known by its file, and keeps that file's inode when another is renamed over it or it is unlinked; so do the connections that
 * were accepted on it.
 */
#ifndef GP_SYS_UNIX_DIAG_H
#define GP_SYS_UNIX_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

struct gp_error;

struct gp_unix_listener {
	uint32_t dev, ino;                                       /* of the file, as the kernel's lists show them */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* without symlinks, which is the name that it was bound to */
};

struct gp_unix_busy {
	bool listening;  /* somebody still accepts, or could */
	unsigned queued; /* connected, but not accepted yet: closing the listener resets these */
	unsigned open;   /* accepted, and not closed by the one who accepted */
};

/*
 * The socket whose file path is now (symlinks are followed): 1 found, 0 there is no socket of that name, -1 error. Whether anybody listens
 * on it is for gp_unix_busy to say. Good for as long as the listener or one of its connections is there.
 */
int gp_unix_listener_find(const char *path, struct gp_unix_listener *ret, struct gp_error *err);

/*
 * Count, for the whole of this network namespace. A connection that was there when the call began is in one of the numbers unless it ended
 * meanwhile. Where the kernel offers no unix_diag it is /proc/net/unix, which knows names only: others that were bound to the same name are
 * counted too.
 */
int gp_unix_busy(const struct gp_unix_listener *listener, struct gp_unix_busy *ret, struct gp_error *err);

#endif
