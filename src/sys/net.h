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

/* The addresses that a name leads to, none where it leads nowhere. By getent(1), as a process: the resolver's own functions wait as long as
 * they like, and here it is 5 s at most. An error is that it could not be asked. */
struct gp_strv;
int gp_net_resolve(struct gp_arena *arena, const char *host, struct gp_strv *ret, struct gp_error *err);

/* Is that one of this host's own addresses, as inet_ntop writes it? */
bool gp_net_is_ours(const char *address);

/* Can this host be reached by IPv6 from outside: has it an address beyond loopback and link? */
bool gp_net_has_global_v6(void);

#endif
