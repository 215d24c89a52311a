/* Who can log in with a key, and what follows from that for passwords and for root. Reading and deciding are two functions. */
#ifndef GP_PLAN_SSH_ACCESS_H
#define GP_PLAN_SSH_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

struct gp_arena;
struct gp_ctx;
struct gp_error;
struct gp_sshd;

struct gp_ssh_person {
	const char *name; /* NULL: there is nobody to ask about */
	const char *why;  /* not: a clause that follows the name, "has no usable key; ..."; NULL: can log in with a key */
};

/* The user must exist, unless will_have_key: then only what else is needed is looked at. */
int gp_ssh_person_read(struct gp_ctx *ctx, struct gp_sshd *sshd, const char *user, bool will_have_key, struct gp_ssh_person *ret,
	struct gp_error *err);

/* A setting as sshd has it now, and as it would be by the files of others alone. */
struct gp_ssh_value {
	const char *is, *elsewhere;
};

struct gp_ssh_facts {
	struct gp_ssh_person deploy, root, session; /* session: who runs this */
	const struct gp_ssh_person *admins;         /* those who may become root with sudo */
	size_t admin_count;
	const char *root_login_wanted;
	bool passwords_wanted;
	struct gp_ssh_value root_login, passwords, keyboard;
};

struct gp_ssh_verdict {
	const char *root_login, *passwords, *keyboard; /* what to set; NULL: nothing, it stays as the others' files say */
	const char *root_login_why, *passwords_why;    /* what was asked for and is not safe: a whole line; NULL: nothing to say */
};

/* Nobody is locked out: what is open now is closed only when the deploy user, an administrator and whoever runs this need it no more. */
struct gp_ssh_verdict gp_ssh_decide(struct gp_arena *arena, const struct gp_ssh_facts *facts);

#endif
