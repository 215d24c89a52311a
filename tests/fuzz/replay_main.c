/* Runs a fuzzer's function over every file of the directories given, so that a corpus is an ordinary test with any compiler. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes in a piece of memory of exactly their size: the address sanitizer sees one read too many. */
static int replay(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rb");
	int ret = -1;

	if (data && f && fread(data, 1, size, f) == size) {
		LLVMFuzzerTestOneInput(data, size);
		ret = 0;
	} else {
		perror(path);
	}
	if (f)
		fclose(f);
	free(data);
	return ret;
}

static int replay_dir(const char *dir, size_t *n)
{
	struct dirent **entries;
	int count = scandir(dir, &entries, NULL, alphasort), ret = 0;

	if (count < 0) {
		perror(dir);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		free(entries[i]);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (replay(path, (size_t)st.st_size) < 0)
			ret = -1;
		++*n;
	}
	free(entries);
	return ret;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	int ret = 0;

	for (int i = 1; i < argc; i++)
		if (replay_dir(argv[i], &n) < 0)
			ret = 1;
	printf("%zu inputs\n", n);
	return n ? ret : 1; /* an empty corpus proves nothing */
}
