/* The resource types and what each is told. One file a type; the struct's fields are the state that should be. */
#ifndef GP_PLAN_TYPES_H
#define GP_PLAN_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "plan/plan.h"

/* Debian packages, all installed in one go. */
struct gp_packages {
	struct gp_strv names;
};
extern const struct gp_resource_type gp_packages_type;

/* A user of the host. Its name is the resource's. home NULL: a system user that nobody logs in as. */
struct gp_user {
	const char *user, *home;
};
extern const struct gp_resource_type gp_user_type;

/* A user's membership in a group that exists. */
struct gp_member {
	const char *user, *group;
};
extern const struct gp_resource_type gp_member_type;

/* A folder: owner, group, mode. Its name is the path. What is in it is nobody's business here. */
struct gp_folder {
	const char *owner, *group;
	mode_t mode;
};
extern const struct gp_resource_type gp_folder_type;

/* A file with exactly that content. Its name is the path. */
struct gp_file {
	const char *content, *owner, *group;
	mode_t mode;
	/* Looks at a candidate under a temporary name before it is put in place; NULL: nothing to check. */
	int (*check)(void *arg, const char *candidate, struct gp_error *err);
};
extern const struct gp_resource_type gp_file_type;

/* A line that a file of somebody else's must have. Its name is the path. The file must exist. */
struct gp_file_line {
	const char *line;
};
extern const struct gp_resource_type gp_file_line_type;

/* A symlink. Its name is the path. */
struct gp_link {
	const char *target;
};
extern const struct gp_resource_type gp_link_type;

/* A `.env`: keys that must be there. Values that are there stay, whatever they are. */
struct gp_dotenv_key {
	const char *key;
	const char *value;      /* for a key that is missing */
	bool report;            /* say so where the file has another value, which stays */
	size_t secret_len;      /* >0: make a secret of that length instead */
	/* A value made of other keys: DATABASE_URL. Called with the file's text so far, parsed. NULL: value or secret_len. */
	const char *(*derive)(struct gp_ctx *ctx, const void *arg, const char *(*get)(const void *env, const char *key), const void *env);
	const void *arg;
};
struct gp_dotenv_file {
	const char *owner, *group;
	const struct gp_dotenv_key *keys;
	size_t n;
};
extern const struct gp_resource_type gp_dotenv_type;

/* A root-owned copy (0600) of a `.env`, for systemd to read. Its name is the copy's path. */
struct gp_dotenv_copy {
	const char *from;
};
extern const struct gp_resource_type gp_dotenv_copy_type;
/* Make that copy. What is copied was read without following a symlink, is a regular file and parses. */
int gp_dotenv_copy(struct gp_ctx *ctx, const char *from, const char *to, struct gp_error *err);

/* A unit: enabled at boot, and running now where that is wanted. Its name is the unit's. */
struct gp_unit {
	bool enabled, running;
	bool present; /* false: stopped, disabled and its file gone */
	const char *stop_first; /* a unit that must not run while this one is started: systemd starts no socket beside its service */
};
extern const struct gp_resource_type gp_unit_type;

/* A Postgres role that can log in with the password in an environment file, and owns nothing by being a superuser. */
struct gp_pg_role {
	const char *role, *env_path, *password_key, *host;
	const char *login_dbname; /* the login is tried over TCP once this database exists */
	int port;
};
extern const struct gp_resource_type gp_pg_role_type;

/* A database, UTF-8, owned by a role. Its name is the resource's. */
struct gp_pg_database {
	const char *database, *owner;
	int port;
};
extern const struct gp_resource_type gp_pg_database_type;

/* A login as the site will do it: host, port, role, database, password out of the environment file. Nothing to apply. */
extern const struct gp_resource_type gp_pg_login_type;

/* Redis answers PING and listens on loopback only. */
struct gp_redis_server {
	int port;
};
extern const struct gp_resource_type gp_redis_type;

/* UFW: default deny incoming, these TCP ports open, enabled. Rules of others are left alone. */
struct gp_firewall {
	const uint16_t *tcp;
	size_t n;
};
extern const struct gp_resource_type gp_firewall_type;

/* uv, of exactly one version, in a venv of its own. Its name is the folder. */
struct gp_uv {
	const char *version;
};
extern const struct gp_resource_type gp_uv_type;

/* An SSH key pair for a user, made if there is none. Its name is the private key's path. */
struct gp_ssh_key {
	const char *user;
};
extern const struct gp_resource_type gp_ssh_key_type;

/* Keys that may log in as a user, by the user's ~/.ssh/authorized_keys; others that are there stay. Its name is the path. */
struct gp_authorized_keys {
	const char *user;
	struct gp_strv keys; /* none, and no such file: root's own, once */
};
extern const struct gp_resource_type gp_authorized_keys_type;

/* How sshd lets people in: a drop-in that sorts first, and what sshd makes of it. Its name is the drop-in's path. */
struct gp_sshd;
struct gp_sshd_rules {
	struct gp_sshd *sshd;
	const char *deploy_user;
	const char *session_user;        /* who is logged in and runs this; NULL: nobody who came by ssh */
	const char *root_login;          /* prohibit-password, no, yes */
	bool passwords;                  /* stay on; false: off as soon as nobody is locked out by it */
	const struct gp_resource *keys;  /* the deploy user's */
};
extern const struct gp_resource_type gp_sshd_type;
/* Let sshd read it; where it does not answer then, the former drop-in comes back. */
extern const struct gp_handler gp_sshd_reload;

/* Read `.env` as root from a folder that somebody else owns: no symlink is followed. 1 read, 0 not there, -1 error. Every secret in it
 * is added to ctx->secrets. */
struct gp_dotenv;
int gp_dotenv_read(struct gp_ctx *ctx, const char *path, struct gp_dotenv *ret, struct gp_error *err);

#endif
