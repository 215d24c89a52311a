/* What the kernel filters by now: are UFW's chains in it, and does the host have packet rules that somebody else made? */
#ifndef GP_PLAN_KERNEL_RULES_H
#define GP_PLAN_KERNEL_RULES_H

#include <stdbool.h>

struct gp_ctx;
struct gp_error;

/* Does what comes in go through UFW's chains, and do they hold its rules? True too where the kernel cannot be asked. */
bool gp_ufw_is_loaded(struct gp_ctx *ctx, bool v6);

/*
 * Before UFW is enabled: lead packets into its chains again where they are there but nothing jumps to them (after `iptables -F`).
 * ufw itself does that only when it makes the chains; it would deny everything and allow nothing.
 */
int gp_ufw_hook(struct gp_ctx *ctx, bool v6, struct gp_error *err);

/*
 * The firewall that the host has besides UFW, in words ("firewalld is active"), or NULL: another service, or rules that neither UFW
 * nor fail2ban made (which only bans, and gets along with UFW).
 */
int gp_own_firewall(struct gp_ctx *ctx, const char **ret, struct gp_error *err);

#endif
