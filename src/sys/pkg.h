/* Debian packages: what dpkg's status file says, and apt-get for what is missing. */
#ifndef GP_SYS_PKG_H
#define GP_SYS_PKG_H

#include <stdbool.h>
#include <stddef.h>

struct gp_arena;
struct gp_ctx;
struct gp_error;
struct gp_strv;

/* The names of all fully installed packages and of what they provide, from dpkg's status file (GP_DPKG_STATUS or the default). */
struct gp_pkg_db;
int gp_pkg_open(struct gp_arena *arena, struct gp_pkg_db **ret, struct gp_error *err);
bool gp_pkg_installed(const struct gp_pkg_db *db, const char *name);
/* Something was left half installed or unpacked: apt will refuse to work until dpkg --configure -a. The name, or NULL. */
const char *gp_pkg_broken(const struct gp_pkg_db *db);

/* Finish what an interrupted dpkg left: unpacked packages are configured, half installed ones installed again. Waits up to two minutes
 * for a dpkg that is still at work: the one that was interrupted may have outlived its apt-get. */
int gp_pkg_repair(struct gp_ctx *ctx, struct gp_error *err);

/* apt-get install, without recommended packages and questions, waiting up to two minutes for another apt, and saying for which.
 * Updates the lists first when a name is unknown or the lists are older than a day; a source that does not answer is told of. */
int gp_pkg_install(struct gp_ctx *ctx, const struct gp_strv *names, struct gp_error *err);

/* The installed version of one package; NULL: it is not (fully) installed. */
int gp_pkg_version(struct gp_arena *arena, const char *name, const char **ret, struct gp_error *err);

/* apt-get update for the repositories in this file alone (its name ends in .sources); one that cannot be read is an error. */
int gp_pkg_update_from(struct gp_ctx *ctx, const char *sources_path, struct gp_error *err);
/* Would apt take this file beside those in /etc/apt/sources.list.d? Asks no server. */
int gp_pkg_check_sources(struct gp_ctx *ctx, const char *sources_path, struct gp_error *err);

#endif
