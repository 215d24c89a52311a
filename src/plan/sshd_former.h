/*
 * sshd's drop-in as it was: kept in STATE/sshd-former from the moment before a change until sshd has been seen to answer with the new
 * one. A run that ends in between is taken up by the next.
 */
#ifndef GP_PLAN_SSHD_FORMER_H
#define GP_PLAN_SSHD_FORMER_H

struct gp_ctx;
struct gp_error;

#define GP_SSHD_DROP_IN "/etc/ssh/sshd_config.d/00-goldpath.conf"

int gp_sshd_keep_former(struct gp_ctx *ctx, struct gp_error *err);
/* Put it in place again; none kept: nothing to do. */
int gp_sshd_put_back(struct gp_ctx *ctx, struct gp_error *err);

#endif
