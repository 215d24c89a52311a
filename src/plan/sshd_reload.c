/* Letting sshd read its configuration, and going back to the former one where it does not answer then. */
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "plan/sshd_former.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/net.h"
#include "sys/sshd.h"
#include "sys/unit.h"

enum { DROP_IN_MAX = 65536, JOB_TIMEOUT_MS = 30000, GREETING_TIMEOUT_MS = 10000, PROBE_TIMEOUT_MS = 2000 };

static const char *former_path(struct gp_ctx *ctx)
{
	return gp_sprintf(ctx->arena, "%s/sshd-former", ctx->state_dir);
}

/* An empty one stands for none. */
int gp_sshd_keep_former(struct gp_ctx *ctx, struct gp_error *err)
{
	const char *text = "";
	size_t len = 0;
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(GP_SSHD_DROP_IN, &st, err));
	if (there && S_ISREG(st.st_mode))
		GP_TRY(gp_fs_read_nofollow(ctx->arena, GP_SSHD_DROP_IN, DROP_IN_MAX, &text, &len, err));
	return gp_fs_write(former_path(ctx), text, len, 0600, (uid_t)-1, (gid_t)-1, err);
}

int gp_sshd_put_back(struct gp_ctx *ctx, struct gp_error *err)
{
	const char *text;
	size_t len;
	int there;

	GP_TRY(there = gp_fs_read_nofollow(ctx->arena, former_path(ctx), DROP_IN_MAX, &text, &len, err));
	if (!there)
		return 0;
	if (len)
		GP_TRY(gp_fs_write(GP_SSHD_DROP_IN, text, len, 0644, 0, 0, err));
	else
		GP_TRY(gp_fs_remove(GP_SSHD_DROP_IN, err));
	return gp_fs_remove(former_path(ctx), err);
}

/* --- the reload --- */

struct sockets {
	struct gp_listener *v;
	size_t n;
};

/* By the addresses, which have the ports in them ("[::]:22"): Port itself says nothing where ListenAddress names another. */
static int is_configured(struct gp_ctx *ctx, uint16_t port, bool *ret, struct gp_error *err)
{
	struct gp_sshd *sshd = gp_sshd_new(ctx->arena, ctx->lock_dir);
	const struct gp_sshdconf *conf;

	*ret = false;
	if (!sshd)
		return 0;
	GP_TRY(gp_sshd_effective(sshd, NULL, &conf, err));
	for (size_t i = 0; i < conf->n; i++) {
		const char *colon = gp_streq(conf->v[i].keyword, "listenaddress") ? strrchr(conf->v[i].value, ':') : NULL;
		int64_t is;

		*ret = *ret || (colon && gp_parse_int(colon + 1, 1, 65535, &is) && is == port);
	}
	return 0;
}

/* Those of the daemon itself that answer now; a session may hold forwarded ports, where nobody says "SSH-". Where ssh.socket opened
 * them (Ubuntu), the process that is found may be systemd. */
static int find_sockets(struct gp_ctx *ctx, pid_t daemon, struct sockets *ret, struct gp_error *err)
{
	struct gp_listener *all;
	size_t n;

	GP_TRY(gp_net_listeners(ctx->arena, true, &all, &n, err));
	*ret = (struct sockets){ .v = gp_alloc_array(ctx->arena, n + 1, sizeof(*ret->v)) };
	for (size_t i = 0; i < n; i++) {
		bool configured;

		if (all[i].pid != daemon && all[i].pid != 1)
			continue;
		GP_TRY(is_configured(ctx, all[i].port, &configured, err));
		if (all[i].pid == daemon && !configured) {
			gp_fail(err, GP_E_CONFIG, "sshd listens on port %u, and its files name other ports: a reload would close it", all[i].port);
			return gp_hint(err, "set `Port %u` in sshd's files, or `systemctl reload ssh` once you can do without it", all[i].port);
		}
		if (configured && gp_sshd_greets(&all[i], 1, PROBE_TIMEOUT_MS, NULL) == 0)
			ret->v[ret->n++] = all[i];
	}
	return 0;
}

/* Only here is sshd restarted: it does not answer, so there is nothing to cut that a reload would keep. */
static int go_back(struct gp_ctx *ctx, struct gp_bus *bus, const struct sockets *sockets, struct gp_error *err)
{
	struct gp_error again = { 0 };

	if (gp_sshd_put_back(ctx, &again) == 0 && gp_unit_run(bus, "ssh.service", GP_UNIT_RESTART, JOB_TIMEOUT_MS, &again) == 0 &&
		gp_sshd_greets(sockets->v, sockets->n, GREETING_TIMEOUT_MS, &again) == 0)
		return gp_state(err, "sshd was restarted with the configuration it had, and answers");
	return gp_state(err, "sshd does not answer with its former configuration either: %s", again.msg);
}

/* Running sessions are processes of their own; a reload leaves them alone. Where nothing runs but ssh.socket, the next connection starts
 * an sshd that reads everything anew. */
static int reload(struct gp_ctx *ctx, struct gp_error *err)
{
	struct gp_unit_state unit, socket;
	struct sockets sockets;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, ctx->arena, "ssh.service", &unit, err));
	GP_TRY(gp_unit_state(bus, ctx->arena, "ssh.socket", &socket, err));
	if (gp_streq(unit.active, "active")) {
		GP_TRY(find_sockets(ctx, unit.main_pid, &sockets, err));
		if (gp_unit_run(bus, "ssh.service", GP_UNIT_RELOAD, JOB_TIMEOUT_MS, err) < 0 ||
			gp_sshd_greets(sockets.v, sockets.n, GREETING_TIMEOUT_MS, err) < 0)
			return go_back(ctx, bus, &sockets, err);
	} else if (!gp_streq(socket.active, "active")) {
		gp_tell_warn(ctx, "ssh.service does not run: an sshd that was started in another way has to be told to reload (kill -HUP)");
	}
	return gp_fs_remove(former_path(ctx), err);
}

const struct gp_handler gp_sshd_reload = { .run = reload };
