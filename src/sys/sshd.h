/*
 * The ssh daemon: what its configuration comes to (`sshd -T`, for which there is no other source), which file sets what, whether a
 * configuration is one, and whether it answers. Asking takes 13 ms, so an answer is kept under /run/goldpath as long as nothing has
 * changed that it depends on.
 */
#ifndef GP_SYS_SSHD_H
#define GP_SYS_SSHD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sshdconf.h"

struct gp_arena;
struct gp_error;
struct gp_listener;

/* One for a run of goldpath: within it every question is asked once. The strings are the host's own, or a test's. */
struct gp_sshd {
	struct gp_arena *arena;
	const char *config, *folder, *defaults; /* sshd_config, sshd_config.d, the file with SSHD_OPTS */
	const char *cache_dir;                  /* NULL: nothing is kept from run to run */
	struct gp_sshd_answers *answers;        /* what is known; gp_sshd_forget */
};

/* NULL: there is no sshd on this host. */
struct gp_sshd *gp_sshd_new(struct gp_arena *arena, const char *cache_dir);
/* The configuration has been changed. */
void gp_sshd_forget(struct gp_sshd *sshd);

/* What holds for that user; NULL: for nobody in particular, leaving out Match blocks. Fails where sshd refuses its configuration. */
int gp_sshd_effective(struct gp_sshd *sshd, const char *user, const struct gp_sshdconf **ret, struct gp_error *err);

struct gp_sshd_setting {
	const char *file;
	struct gp_sshdconf_line line;
};
struct gp_sshd_settings {
	struct gp_sshd_setting *v;
	size_t n, cap;
};
/* Every line of every file, in the order in which sshd reads them (Include is followed, and stands itself before what it brings). */
int gp_sshd_settings(struct gp_sshd *sshd, const struct gp_sshd_settings **ret, struct gp_error *err);

/* Is this file, or (NULL) the configuration as it stands, one that sshd takes? */
int gp_sshd_test(struct gp_sshd *sshd, const char *config, struct gp_error *err);

/* Wait until each of these says "SSH-" to whoever connects; -1 names the first that does not within that time. */
int gp_sshd_greets(const struct gp_listener *listeners, size_t n, int timeout_ms, struct gp_error *err);

#endif
