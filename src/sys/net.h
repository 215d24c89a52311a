/* What listens on this host, read from /proc/net and /proc/PID/fd. */
#ifndef GP_SYS_NET_H
#define GP_SYS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gp_arena;
struct gp_error;

struct gp_listener {
	uint16_t port;
	bool v6;
	bool loopback;        /* bound to 127.0.0.0/8 or ::1 */
	char address[46];     /* as inet_ntop writes it */
	pid_t pid;            /* one process that holds it; 0 where none could be found */
	char comm[16];        /* that process's name; "" */
};

/* Every TCP socket in LISTEN, IPv4 and IPv6. with_owner: find the process behind each (walks /proc). Sorted by port, then address. */
int gp_net_listeners(struct gp_arena *arena, bool with_owner, struct gp_listener **ret, size_t *ret_n, struct gp_error *err);

/* Does a host name resolve (getaddrinfo)? The addresses as text, "" where not. Blocks as long as the resolver does. */
int gp_net_resolve(struct gp_arena *arena, const char *host, const char **ret);

#endif
