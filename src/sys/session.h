/* Who sits at the other end: the person that runs this, and the connection they came by, whatever sudo or su has made of the environment. */
#ifndef GP_SYS_SESSION_H
#define GP_SYS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct gp_arena;

struct gp_session {
	const char *user; /* NULL: not known */
	uint16_t port;    /* of this host, that an ssh connection came in by; 0: none */
	bool v6;
};

/*
 * From the processes above this one: the outermost that has SSH_CONNECTION (ssh(1)) in its environment is the login shell, and its owner
 * the person. sudo takes the variable away, `su -` takes SUDO_USER away too. Else SUDO_USER, else the kernel's loginuid.
 */
struct gp_session gp_session_find(struct gp_arena *arena);

#endif
