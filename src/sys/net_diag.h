/* The kernel's list of listening TCP sockets, by sock_diag(7). Reading /proc/net/tcp instead walks the whole hash table of connections: 7 ms
 * on a machine with much memory, whatever it holds. */
#ifndef GP_SYS_NET_DIAG_H
#define GP_SYS_NET_DIAG_H

#include <stdbool.h>
#include <stdint.h>

/* Called for each listener: address in network order, 4 or 16 bytes; port in host order. */
typedef void gp_net_diag_found(void *arg, bool v6, const void *address, uint16_t port, uint64_t inode);

/* 0, or -1 where the kernel does not offer it (no inet_diag): then nothing counts that was found. errno says why. */
int gp_net_diag_listeners(gp_net_diag_found *found, void *arg);

#endif
