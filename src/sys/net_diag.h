/* Sockets as the kernel lists them, by sock_diag(7): here those that listen for TCP, in unix_diag.h those that are files. Reading /proc/net/tcp instead walks the whole hash table of connections: 7 ms
 * on a machine with much memory, whatever it holds. */
#ifndef GP_SYS_NET_DIAG_H
#define GP_SYS_NET_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called for each listener: address in network order, 4 or 16 bytes; port in host order. */
typedef void gp_net_diag_found(void *arg, bool v6, const void *address, uint16_t port, uint64_t inode);

/* 0, or -1 where the kernel does not offer it (no inet_diag): then nothing counts that was found. errno says why. */
int gp_net_diag_listeners(gp_net_diag_found *found, void *arg);

/*
 * Ask sock_diag a question (a whole netlink message) and hand over each message of the answer. 0, or -1: not offered, errno says why. What
 * was handed over until then does not count.
 */
struct nlmsghdr;
typedef void gp_sock_diag_found(void *arg, const struct nlmsghdr *head);
int gp_sock_diag(const void *question, size_t len, gp_sock_diag_found *found, void *arg);

#endif
