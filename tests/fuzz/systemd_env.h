/*
 * The judge of the `.env` parser: systemd's own one, out of the library private to it that every systemd host has. Nothing of
 * it is linked; it is looked for at run time, and where it is not found (or has lost the two functions) there is no judge.
 */
#ifndef GP_TESTS_SYSTEMD_ENV_H
#define GP_TESTS_SYSTEMD_ENV_H

#include <dlfcn.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int (*judge_load)(FILE *f, const char *name, char ***ret);
static char **(*judge_clean)(char **env, void (*invalid)(const char *, void *), void *userdata);

/* Is there a judge? */
static bool judge_found(void)
{
	static const char *const places[] = { "/usr/lib/*/systemd/libsystemd-shared-*.so", "/usr/lib/systemd/libsystemd-shared-*.so",
		"/lib/systemd/libsystemd-shared-*.so", "/usr/lib64/systemd/libsystemd-shared-*.so" };
	static bool tried;

	for (size_t i = 0; !tried && !judge_clean && i < sizeof(places) / sizeof(places[0]); i++) {
		glob_t found;

		if (glob(places[i], 0, NULL, &found) == 0) {
			void *lib = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
			void *load = lib ? dlsym(lib, "load_env_file") : NULL;
			void *clean = lib ? dlsym(lib, "strv_env_clean_with_callback") : NULL;

			if (load && clean) {
				*(void **)&judge_load = load;
				*(void **)&judge_clean = clean;
			}
			globfree(&found);
		}
	}
	tried = true;
	return judge_clean;
}

/* "KEY=value" in order, NULL at the end, as systemd would hand them on; NULL where it refuses the file. For judge_free. */
static char **judge_parse(const char *text, size_t len)
{
	FILE *f = fmemopen((void *)(size_t)text, len, "r"); /* only read, but fmemopen's parameter is not const */
	char **env = NULL;

	if (!f)
		return NULL;
	if (judge_load(f, "test", &env) < 0)
		env = NULL;
	else if (!env) /* an empty list may be NULL; that is no refusal */
		env = calloc(1, sizeof(*env));
	else
		env = judge_clean(env, NULL, NULL);
	fclose(f);
	return env;
}

static void judge_free(char **env)
{
	for (size_t i = 0; env && env[i]; i++)
		free(env[i]);
	free(env);
}

#endif
