/*
 * UFW's own files as structs, and what they mean for a port. UFW keeps each rule in /etc/ufw/user.rules and user6.rules as a comment
 * above the lines for iptables: "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in". The kernel asks rules in that order, and the
 * first that matches decides. Pure.
 */
#ifndef GP_BASE_UFW_H
#define GP_BASE_UFW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gp_arena;

enum gp_ufw_action { GP_UFW_ALLOW, GP_UFW_DENY, GP_UFW_REJECT, GP_UFW_LIMIT };

enum { GP_UFW_PORTS_MAX = 15 }; /* in one rule, as ufw has it */

struct gp_ufw_range {
	uint16_t lo, hi;
};

struct gp_ufw_rule {
	enum gp_ufw_action action;
	bool v6, route, out;             /* route: for what passes through; out: for what leaves; neither: for what comes in */
	const char *log;                 /* "", "log" or "log-all" */
	const char *proto;               /* "tcp", "udp", "any", "gre", ... */
	const char *dport, *sport;       /* as written: "80,443", "1000:2000"; NULL: any */
	const char *dst, *src;           /* NULL: anywhere */
	const char *dapp, *sapp;         /* the application's name, or NULL */
	const char *in_on, *out_on;      /* interfaces, or NULL: any */
	struct gp_ufw_range ports[GP_UFW_PORTS_MAX]; /* dport, read */
	size_t n_ports;                  /* 0: any */
};

struct gp_ufw_rules {
	struct gp_ufw_rule *v;
	size_t n;
	size_t unreadable;               /* tuples that are no rule ufw would write */
	size_t line;                     /* the first of those, counted from 1 */
};

/* Read a rules file. Anything that is no tuple is passed over; a tuple that is not understood is counted. */
void gp_ufw_parse(struct gp_arena *arena, const char *text, size_t len, bool v6, struct gp_ufw_rules *ret);

/* The value of KEY=value or KEY="value" in ufw.conf or /etc/default/ufw: the last one counts. NULL: not there. */
const char *gp_ufw_setting(struct gp_arena *arena, const char *text, const char *key);

enum gp_ufw_verdict {
	GP_UFW_UNDECIDED, /* no rule speaks of it: the default does */
	GP_UFW_OPEN,
	GP_UFW_SHUT,
};

/*
 * Is a port open to everybody? Decided by the first rule that matches it from anywhere, to any address, on any interface; *ret_rule is
 * that rule. limit: a rate limit leaves it open. careful: a deny of everybody who comes to one address or interface shuts it too.
 */
enum gp_ufw_verdict gp_ufw_judge(const struct gp_ufw_rules *rules, uint16_t port, bool udp, bool limit, bool careful,
	const struct gp_ufw_rule **ret_rule);

/* Is the rule one for what comes in, from anywhere, to any address, on any interface? */
bool gp_ufw_is_broad(const struct gp_ufw_rule *rule);
/* Does it speak of that port? */
bool gp_ufw_covers(const struct gp_ufw_rule *rule, uint16_t port, bool udp);

/* In words close to `ufw status`: "allow 8080/tcp from 10.0.0.0/8". */
const char *gp_ufw_words(struct gp_arena *arena, const struct gp_ufw_rule *rule);
/* The command that takes it away: "ufw delete allow from 10.0.0.0/8 to any port 8080 proto tcp". */
const char *gp_ufw_delete(struct gp_arena *arena, const struct gp_ufw_rule *rule);

#endif
