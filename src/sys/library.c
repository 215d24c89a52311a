/* Libraries by dlopen(3). POSIX has function pointers and void pointers of one size, which dlsym needs. */
#include "sys/library.h"

#include <dlfcn.h>
#include <string.h>

#include "base/error.h"

int gp_library_load(const char *soname, const char *const *names, void *table, size_t n, struct gp_error *err)
{
	void *library, *last;

	memcpy(&last, (char *)table + (n - 1) * sizeof(last), sizeof(last));
	if (last)
		return 0;
	library = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
	if (!library) {
		gp_fail(err, GP_E_FAILED, "cannot load %s: %s", soname, dlerror());
		return gp_hint(err, "the package goldpath depends on it: `apt-get install -f`");
	}
	for (size_t i = 0; i < n; i++) {
		void *function = dlsym(library, names[i]);

		if (!function)
			return gp_fail(err, GP_E_FAILED, "%s has no %s", soname, names[i]);
		memcpy((char *)table + i * sizeof(function), &function, sizeof(function));
	}
	return 0;
}
