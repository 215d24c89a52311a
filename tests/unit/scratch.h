/* A folder of the test's own, and what tests do with files: made anew by scratch_begin, gone after scratch_end. */
#ifndef GP_TESTS_SCRATCH_H
#define GP_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

static inline int scratch_begin(void **state)
{
	(void)state;
	umask(022); /* as the program does */
	strcpy(scratch, "/tmp/goldpath-test-XXXXXX");
	return mkdtemp(scratch) && chmod(scratch, 0755) == 0 ? 0 : -1;
}

static inline int scratch_delete(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static inline int scratch_end(void **state)
{
	(void)state;
	return nftw(scratch, scratch_delete, 32, FTW_DEPTH | FTW_PHYS);
}

/* A path in the folder; good for the next 15 calls. */
static inline const char *at(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline const char *at(const char *fmt, ...)
{
	static char room[16][512];
	static unsigned next;
	char *path = room[next++ % 16];
	int used = snprintf(path, 512, "%s/", scratch);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + used, 512 - (size_t)used, fmt, ap);
	va_end(ap);
	return path;
}

/* Write a file, whatever was there. */
static inline void put_bytes(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || fchmod(fd, mode) < 0 || close(fd) < 0) {
		perror(path);
		abort();
	}
}

static inline void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text), 0644);
}

/* What a file says, at most 1 MiB of it, until the next call; "(none)" where there is none. */
static inline const char *said(const char *path)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return "(none)";
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* How many entries a folder has, hidden ones too; -1: no folder. */
static inline int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = -2;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline int open_files(void)
{
	return entries("/proc/self/fd") - 1;
}

static inline mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0xffff;
}

static inline uid_t owner_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_uid : (uid_t)-1;
}

#endif
