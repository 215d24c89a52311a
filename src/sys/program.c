/* Programs and their environment. */
#include "sys/program.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "sys/account.h"

static const char search_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const char *gp_program_find(struct gp_arena *arena, const char *name)
{
	if (strchr(name, '/'))
		return name;
	for (const char *dir = search_path; *dir;) {
		size_t len = strcspn(dir, ":");
		const char *path = gp_sprintf(arena, "%.*s/%s", (int)len, dir, name);

		if (access(path, X_OK) == 0)
			return path;
		dir += len + (dir[len] == ':');
	}
	return NULL;
}

static bool names_key(const char *const *env, const char *pair)
{
	size_t len = strcspn(pair, "=") + 1;

	for (; env && *env; env++)
		if (strncmp(*env, pair, len) == 0)
			return true;
	return false;
}

struct gp_strv gp_program_env(struct gp_arena *arena, const struct gp_account *as, const char *const *more)
{
	struct gp_strv env = { 0 }, base = { 0 };

	gp_strv_add(arena, &base, gp_sprintf(arena, "PATH=%s", search_path));
	gp_strv_add(arena, &base, "LANG=C.UTF-8");
	if (as) {
		gp_strv_add(arena, &base, gp_sprintf(arena, "HOME=%s", as->home));
		gp_strv_add(arena, &base, gp_sprintf(arena, "USER=%s", as->name));
		gp_strv_add(arena, &base, gp_sprintf(arena, "LOGNAME=%s", as->name));
		gp_strv_add(arena, &base, gp_sprintf(arena, "SHELL=%s", as->shell));
	} else {
		gp_strv_add(arena, &base, "HOME=/root");
	}
	for (size_t i = 0; i < base.n; i++)
		if (!names_key(more, base.v[i]))
			gp_strv_add(arena, &env, base.v[i]);
	for (const char *const *e = more; e && *e; e++)
		gp_strv_add(arena, &env, *e);
	return env;
}
