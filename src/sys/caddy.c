/* Caddy's command line. Always as user caddy: what it makes while it looks (log files, its store) must not belong to root afterwards. */
#include "sys/caddy.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { ENVIRON_MAX = 256 * 1024, TIMEOUT_MS = 60000 };

/* The server's variables, without systemd's own: a message to NOTIFY_SOCKET would be taken for the server's. */
static struct gp_strv environment(struct gp_arena *arena, pid_t main_pid)
{
	struct gp_strv env = { 0 };
	const char *text = NULL;
	size_t len = 0;

	gp_strv_add(arena, &env, "HOME=/var/lib/caddy");
	if (main_pid <= 0 || gp_fs_read(arena, gp_sprintf(arena, "/proc/%d/environ", (int)main_pid), ENVIRON_MAX, &text, &len, NULL) != 1)
		return env;
	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		if (strchr(p, '=') && !gp_starts_with(p, "NOTIFY_SOCKET=") && !gp_starts_with(p, "WATCHDOG_") && !gp_starts_with(p, "LISTEN_"))
			gp_strv_add(arena, &env, p);
	return env;
}

/* "caddy exited with status 1: Error: adapting config using caddyfile: FILE:2: unrecognized directive: x" → from FILE on. */
static int reason(struct gp_arena *arena, const struct gp_proc_result *result, struct gp_error *err)
{
	static const char *const before[] = { "Error: ", "adapting config using caddyfile: ", "sending configuration to instance: " };
	const char *said = gp_buf_str(result->err.len ? &result->err : &result->out);
	const char *why = gp_last_line(arena, said);

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (gp_starts_with(why, before[i]))
			why += strlen(before[i]);
	if (gp_starts_with(why, "-:")) /* what came by standard input */
		why = gp_sprintf(arena, "/etc/caddy/Caddyfile%s", why + 1);
	gp_fail(err, GP_E_FAILED, "%.400s", *why ? why : "caddy says no more than that it failed");
	return gp_detail(err, said, strlen(said));
}

static int caddy(struct gp_arena *arena, pid_t main_pid, const char *const *argv, const char *text, struct gp_error *err)
{
	const struct gp_strv env = environment(arena, main_pid);
	GP_AUTO_RESULT result = { 0 };
	struct gp_account account;

	GP_TRY(gp_account_get(arena, "caddy", &account, err));
	GP_TRY(gp_proc_run(&(struct gp_proc){
		.argv = argv,
		.env = env.v,
		.as = &account,
		.cwd = "/etc/caddy",
		.input = text,
		.input_len = strlen(text),
		.timeout_ms = TIMEOUT_MS }, &result, err));
	return result.status == 0 ? 0 : reason(arena, &result, err);
}

int gp_caddy_validate(struct gp_arena *arena, pid_t main_pid, const char *text, struct gp_error *err)
{
	return caddy(arena, main_pid, GP_ARGV("caddy", "validate", "--adapter", "caddyfile", "--config", "-"), text, err);
}

int gp_caddy_load(struct gp_arena *arena, pid_t main_pid, const char *text, const char *address, struct gp_error *err)
{
	return caddy(arena, main_pid,
		GP_ARGV("caddy", "reload", "--force", "--adapter", "caddyfile", "--config", "-", "--address", address), text, err);
}

bool gp_caddy_on_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/caddy/admin.sock" };
	GP_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}
