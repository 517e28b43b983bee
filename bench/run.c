/* run REPORT_FD HOST_NETNS PROGRAM [ARGUMENT...]
 *
 * Starts PROGRAM in the network namespace HOST_NETNS as a container runtime would (own stdin on a pipe), waits for it
 * and writes one line to REPORT_FD: wall time in ns from before the spawn to after the wait, CPU time in us, peak RSS
 * in KiB, exit status. A C program of its own because of time and RSS: an interpreter's spawn costs more than what is
 * measured, and after exec the kernel carries the spawning process's own peak RSS over into the child's (exec_mmap).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kStdinCapacity = 1 << 20 };

extern char** environ;

static void fail(const char* what) {
  perror(what);
  exit(125);
}

/* The whole request waits in the pipe before the clock starts, so that nobody's writing speed is measured. */
static void put_stdin_into_a_pipe(void) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[1], F_SETPIPE_SZ, kStdinCapacity) < 0) fail("run: pipe");
  if (fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) fail("run: pipe");
  char buffer[4096];
  ssize_t got;
  while ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
    if (write(ends[1], buffer, (size_t)got) != got) fail("run: the request does not fit into a pipe");
  }
  if (got < 0) fail("run: read");
  if (dup2(ends[0], STDIN_FILENO) < 0) fail("run: dup2");
  close(ends[0]);
  close(ends[1]);
}

static void enter_network_namespace(const char* path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail(path);
  close(fd);
}

static long long microseconds(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

static long long monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: run REPORT_FD HOST_NETNS PROGRAM [ARGUMENT...]\n");
    return 125;
  }
  int report = atoi(argv[1]);
  if (fcntl(report, F_SETFD, FD_CLOEXEC) < 0) fail("run: report descriptor");
  enter_network_namespace(argv[2]);
  put_stdin_into_a_pipe();

  pid_t child;
  int status;
  struct rusage usage;
  long long begin = monotonic_ns();
  int error = posix_spawn(&child, argv[3], NULL, NULL, argv + 3, environ);
  if (error != 0) {
    fprintf(stderr, "run: cannot start %s (error %d)\n", argv[3], error);
    return 125;
  }
  if (wait4(child, &status, 0, &usage) != child) fail("run: wait4");
  long long end = monotonic_ns();

  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  dprintf(report, "%lld %lld %ld %d\n", end - begin,
          microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss, code);
  return 0;
}
