/* Preloaded into vlp: counts the calls that change files below a folder, writes them to a log, and lets one of them fail or ends
 * the process there. Linux, glibc.
 *
 * TORTURE_FOLDER   the folder
 * TORTURE_LOG      file for the calls: see calls.rs
 * TORTURE_AT       number of the call that the fault happens at, from 0
 * TORTURE_FAULT    an error's number; or before, half, after: SIGKILL; or short: a write writes half
 * TORTURE_FOR_GOOD all later calls fail too
 * TORTURE_CLOCK    seconds that the clock goes back each time it is read
 * TORTURE_PEAK     file for the peak of the resident memory, in KiB
 * TORTURE_SECONDS  SIGALRM after this time
 * TORTURE_MEMORY   MiB of data that the process may have
 * TORTURE_HEAP     file for the bytes that are allocated, and those that the allocator holds, at the last write to metrics.jsonl:
 *                  between two steps
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum fault { NONE, ERROR, BEFORE, HALF, AFTER, SHORT };

static char folder[PATH_MAX];
static size_t folder_length;
static int log_file = -1, heap_file = -1;
static long fault_at = -1, calls, clock_step, clock_reads;
static enum fault fault_kind;
static int fault_error, for_good;
static const char *peak_file;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static long number(const char *name, long otherwise) {
  const char *value = getenv(name);
  return value ? atol(value) : otherwise;
}

static int open_log(const char *path) {
  return syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("TORTURE_FOLDER");
  if (path && realpath(path, folder)) folder_length = strlen(folder);
  if ((path = getenv("TORTURE_LOG"))) log_file = open_log(path);
  if ((path = getenv("TORTURE_HEAP"))) heap_file = open_log(path);
  fault_at = number("TORTURE_AT", -1);
  for_good = number("TORTURE_FOR_GOOD", 0);
  clock_step = number("TORTURE_CLOCK", 0);
  peak_file = getenv("TORTURE_PEAK");
  const char *fault = getenv("TORTURE_FAULT");
  if (fault) {
    if (!strcmp(fault, "before")) fault_kind = BEFORE;
    else if (!strcmp(fault, "half")) fault_kind = HALF;
    else if (!strcmp(fault, "after")) fault_kind = AFTER;
    else if (!strcmp(fault, "short")) fault_kind = SHORT;
    else fault_kind = ERROR, fault_error = atoi(fault);
  }
  long seconds = number("TORTURE_SECONDS", 0), memory = number("TORTURE_MEMORY", 0);
  if (seconds) alarm(seconds);
  if (memory) {
    struct rlimit limit = {(rlim_t)memory << 20, (rlim_t)memory << 20};
    setrlimit(RLIMIT_DATA, &limit);
  }
}

/* The peak of the memory, in KiB. Not `ru_maxrss`, which after `exec` still has the peak of the process that started this one. */
__attribute__((destructor)) static void end(void) {
  int file = peak_file ? open_log(peak_file) : -1;
  if (file < 0) return;
  char status[8192];
  int source = syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
  ssize_t length = source < 0 ? -1 : read(source, status, sizeof status - 1);
  if (length < 0) return;
  status[length] = 0;
  const char *peak = strstr(status, "VmHWM:");
  if (peak) dprintf(file, "%ld\n", strtol(peak + 6, NULL, 10));
}

static int is_below(const char *path) {
  return folder_length && !strncmp(path, folder, folder_length) &&
         (path[folder_length] == 0 || path[folder_length] == '/');
}

/* The path of an open file. */
static int path_of(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return length > 0;
}

static void absolute(int at, const char *path, char *out) {
  if (path[0] == '/') {
    snprintf(out, PATH_MAX, "%s", path);
    return;
  }
  char base[PATH_MAX] = "";
  if (at == AT_FDCWD) {
    if (!getcwd(base, sizeof base)) base[0] = 0;
  } else {
    path_of(at, base);
  }
  if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) out[0] = 0;
}

static void end_process(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* Counts a call, and says what becomes of it. The lock is held until `done`. */
static enum fault begin(void) {
  pthread_mutex_lock(&mutex);
  long call = calls++;
  if (fault_at < 0 || call < fault_at || (call > fault_at && !for_good)) return NONE;
  if (fault_kind == BEFORE) end_process();
  return fault_kind;
}

static void log_all(const void *bytes, size_t length) {
  const char *next = bytes;
  while (length > 0) {
    ssize_t written = syscall(SYS_write, log_file, next, length);
    if (written <= 0) end_process();
    next += written, length -= written;
  }
}

static void done(enum fault fault, char kind, const char *path, const char *other, int64_t offset, const void *data, size_t length) {
  int error = errno;
  if (log_file >= 0) {
    uint64_t head[5] = {kind, strlen(path), other ? strlen(other) : 0, offset, length};
    log_all(head, sizeof head);
    log_all(path, head[1]);
    if (other) log_all(other, head[2]);
    log_all(data, length);
  }
  if (fault == AFTER || fault == HALF) end_process();
  pthread_mutex_unlock(&mutex);
  errno = error;
}

static int failed(void) {
  pthread_mutex_unlock(&mutex);
  errno = fault_error;
  return -1;
}

static int open_at(int at, const char *name, int flags, mode_t mode) {
  char path[PATH_MAX];
  struct stat status;
  int changes = 0, exists = 0;
  if (flags & (O_CREAT | O_TRUNC)) {
    absolute(at, name, path);
    exists = fstatat(AT_FDCWD, path, &status, 0) == 0;
    changes = is_below(path) && (exists ? (flags & O_TRUNC) && S_ISREG(status.st_mode) : (flags & O_CREAT) != 0);
  }
  if (!changes) return syscall(SYS_openat, at, name, flags, mode);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  int file = syscall(SYS_openat, at, name, flags, mode);
  done(fault, file < 0 ? 'f' : exists ? 't' : 'c', path, NULL, 0, NULL, 0);
  return file;
}

#define MODE                                                                                       \
  mode_t mode = 0;                                                                                 \
  if (flags & (O_CREAT | O_TMPFILE)) {                                                             \
    va_list list;                                                                                  \
    va_start(list, flags);                                                                         \
    mode = va_arg(list, mode_t);                                                                   \
    va_end(list);                                                                                  \
  }

int open(const char *name, int flags, ...) { MODE return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int at, const char *name, int flags, ...) { MODE return open_at(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE return open_at(at, name, flags | O_LARGEFILE, mode); }

static ssize_t write_at(int file, const void *data, size_t length, int64_t offset) {
  char path[PATH_MAX];
  int is_here = offset < 0;
  if (!folder_length || !length || !path_of(file, path) || !is_below(path))
    return is_here ? syscall(SYS_write, file, data, length) : syscall(SYS_pwrite64, file, data, length, offset);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  if ((fault == SHORT || fault == HALF) && length > 1) length /= 2;
  ssize_t written = is_here ? syscall(SYS_write, file, data, length) : syscall(SYS_pwrite64, file, data, length, offset);
  int64_t start = is_here ? syscall(SYS_lseek, file, 0, SEEK_CUR) - written : offset;
  done(fault, written > 0 ? 'w' : 'f', path, NULL, start, data, written > 0 ? written : 0);
  return written;
}

/* Writes the state of the heap if this is the log of a run. */
static void note_heap(int file) {
  static const char log_name[] = "/metrics.jsonl";
  char path[PATH_MAX], line[64];
  int error = errno;
  size_t length = heap_file >= 0 && path_of(file, path) ? strlen(path) : 0, tail = sizeof log_name - 1;
  if (length >= tail && !strcmp(path + length - tail, log_name)) {
    struct mallinfo2 heap = mallinfo2();
    int count = snprintf(line, sizeof line, "%020zu %020zu\n", heap.uordblks + heap.hblkhd, heap.arena + heap.hblkhd);
    syscall(SYS_pwrite64, heap_file, line, (size_t)count, 0L);
  }
  errno = error;
}

ssize_t write(int file, const void *data, size_t length) {
  ssize_t written = write_at(file, data, length, -1);
  note_heap(file);
  return written;
}
ssize_t pwrite(int file, const void *data, size_t length, off_t offset) { return write_at(file, data, length, offset); }
ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset) { return write_at(file, data, length, offset); }

ssize_t writev(int file, const struct iovec *parts, int count) {
  char path[PATH_MAX];
  if (!folder_length || count < 1 || !path_of(file, path) || !is_below(path)) return syscall(SYS_writev, file, parts, count);
  /* A short write of the first part that is not empty. */
  for (int part = 0; part < count; part++)
    if (parts[part].iov_len) return write_at(file, parts[part].iov_base, parts[part].iov_len, -1);
  return 0;
}

static int sync_file(int file, long call) {
  char path[PATH_MAX];
  if (!folder_length || !path_of(file, path) || !is_below(path)) return syscall(call, file);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  int result = syscall(call, file);
  done(fault, result ? 'f' : 's', path, NULL, 0, NULL, 0);
  return result;
}

int fsync(int file) { return sync_file(file, SYS_fsync); }
int fdatasync(int file) { return sync_file(file, SYS_fdatasync); }

static int truncate_file(int file, off64_t length) {
  char path[PATH_MAX];
  if (!folder_length || !path_of(file, path) || !is_below(path)) return syscall(SYS_ftruncate, file, length);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  int result = syscall(SYS_ftruncate, file, length);
  done(fault, result ? 'f' : 't', path, NULL, length, NULL, 0);
  return result;
}

int ftruncate(int file, off_t length) { return truncate_file(file, length); }
int ftruncate64(int file, off64_t length) { return truncate_file(file, length); }

static int rename_at(int at, const char *name, int other_at, const char *other_name, unsigned flags) {
  char path[PATH_MAX], other[PATH_MAX];
  absolute(at, name, path);
  absolute(other_at, other_name, other);
  if (!is_below(path) && !is_below(other)) return syscall(SYS_renameat2, at, name, other_at, other_name, flags);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  int result = syscall(SYS_renameat2, at, name, other_at, other_name, flags);
  done(fault, result ? 'f' : 'r', path, other, 0, NULL, 0);
  return result;
}

int rename(const char *name, const char *other) { return rename_at(AT_FDCWD, name, AT_FDCWD, other, 0); }
int renameat(int at, const char *name, int other_at, const char *other) { return rename_at(at, name, other_at, other, 0); }
int renameat2(int at, const char *name, int other_at, const char *other, unsigned flags) {
  return rename_at(at, name, other_at, other, flags);
}

int unlinkat(int at, const char *name, int flags) {
  char path[PATH_MAX];
  absolute(at, name, path);
  if (!is_below(path)) return syscall(SYS_unlinkat, at, name, flags);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  int result = syscall(SYS_unlinkat, at, name, flags);
  done(fault, result ? 'f' : 'u', path, NULL, 0, NULL, 0);
  return result;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int at, const char *name, mode_t mode) {
  char path[PATH_MAX];
  absolute(at, name, path);
  if (!is_below(path)) return syscall(SYS_mkdirat, at, name, mode);
  enum fault fault = begin();
  if (fault == ERROR) return failed();
  int result = syscall(SYS_mkdirat, at, name, mode);
  done(fault, result ? 'f' : 'm', path, NULL, 0, NULL, 0);
  return result;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = syscall(SYS_clock_gettime, clock, time);
  if (clock_step && clock == CLOCK_REALTIME && !result) time->tv_sec -= clock_step * __atomic_add_fetch(&clock_reads, 1, __ATOMIC_SEQ_CST);
  return result;
}
