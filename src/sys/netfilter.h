/* The kernel's packet rules as they are now, asked from nf_tables itself: that is where nft(8) and today's iptables(8) put them. */
#ifndef GP_SYS_NETFILTER_H
#define GP_SYS_NETFILTER_H

#include <stdbool.h>
#include <stddef.h>

struct gp_arena;
struct gp_error;

struct gp_nft {
	const char *family; /* "ip", "ip6", "inet", ... */
	const char *table;
	const char *chain;  /* of a rule; "" for a table */
	const char *jump;   /* the chain that a rule hands on to; "" */
	bool loopback;      /* a rule for the interface lo alone */
};

/* Both: 0, or -1 where the kernel has no nf_tables or does not let us ask. Not more than some thousands are read. */
int gp_nft_tables(struct gp_arena *arena, struct gp_nft **ret, size_t *ret_n, struct gp_error *err);
/* All rules, or with a family ("ip", "ip6") those of one chain; a chain that is not there has none. */
int gp_nft_rules(struct gp_arena *arena, const char *family, const char *table, const char *chain, struct gp_nft **ret, size_t *ret_n,
	struct gp_error *err);

#endif
