/* A session's processes, by a walk through /proc: the kernel has no other list of them. */
#include "sys/proc_session.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/fs.h"

/* The session that a process is in, as /proc/PID/stat has it: "pid (comm) state ppid pgrp session ...". 0: it is gone. */
static pid_t session_of(const char *pid)
{
	char path[64], text[512];
	GP_AUTO_FD fd = -1;
	const char *after;
	int session = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	after = strrchr(text, ')');
	return after && sscanf(after + 1, " %*c %*d %*d %d", &session) == 1 && after[2] != 'Z' ? session : 0;
}

void gp_proc_kill_session(pid_t leader)
{
	kill(-leader, SIGKILL);
	for (int round = 0; round < 10; round++) {
		DIR *dir = opendir("/proc");
		struct dirent *e;
		int found = 0;

		while (dir && (e = readdir(dir))) {
			pid_t pid = atoi(e->d_name);

			if (pid > 1 && pid != leader && session_of(e->d_name) == leader)
				found += kill(pid, SIGKILL) == 0;
		}
		if (dir)
			closedir(dir);
		if (!found)
			return;
	}
}
