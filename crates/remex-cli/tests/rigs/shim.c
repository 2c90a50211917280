/*
 * Stands between a process and its disk (LD_PRELOAD): counts every call that changes files below one
 * directory, over all threads, and ends the process or fails the call at a chosen one.
 *
 * Why not a tracer: strace counts the calls of each thread for itself, so "the 40th call" is always
 * one of the busiest thread, and a call of a background thread can hardly be chosen. Calls that do
 * not go through the C library are not seen; there is one (a rename by the engine, between two
 * syncs that are seen).
 *
 *   RIG_ROOT    directory below which calls count
 *   RIG_ONLY    of these, only those whose path contains this, if it is not empty
 *   RIG_CALLS   which calls count: "all", "write", "sync"
 *   RIG_POINT   number of the call that is hurt, from 1; 0 for none
 *   RIG_SPAN    how many calls from there on are hurt, if the process lives
 *   RIG_FAULT   "before", "half", "after": the process is killed there (half: a write does its first
 *               half); "eio", "enospc": the call fails; "short": a write does its first half
 *   RIG_TRACE   file that gets a line for every call: number, name, path, and whether it was hurt
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root, *only, *calls, *fault;
static size_t root_bytes;
static long point, span;
static int trace = -1;
static atomic_long count;

static const char *text(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void begin(void) {
    root = text("RIG_ROOT");
    root_bytes = strlen(root);
    only = text("RIG_ONLY");
    calls = text("RIG_CALLS");
    fault = text("RIG_FAULT");
    point = atol(text("RIG_POINT"));
    span = atol(text("RIG_SPAN"));
    if (*text("RIG_TRACE"))
        trace = (int)syscall(SYS_openat, AT_FDCWD, text("RIG_TRACE"),
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

enum kind { WRITE, SYNC, NAME };
enum verdict { PASS, KILL_BEFORE, KILL_HALF, KILL_AFTER, FAIL_EIO, FAIL_ENOSPC, SHORT };

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts a call on a path and says what becomes of it. */
static enum verdict judge(enum kind kind, const char *name, const char *path) {
    if (!root_bytes || strncmp(path, root, root_bytes)) return PASS;
    /* What lies in the root, or in a folder beside it that is called ROOT-something. */
    if (path[root_bytes] && path[root_bytes] != '/' && path[root_bytes] != '-') return PASS;
    if (*only && !strstr(path, only)) return PASS;
    if (!strcmp(calls, "write") && kind != WRITE) return PASS;
    if (!strcmp(calls, "sync") && kind != SYNC) return PASS;
    long number = atomic_fetch_add(&count, 1) + 1;
    int hurt = point && number >= point && number < point + span;
    if (trace >= 0) {
        char line[PATH_MAX + 64];
        int bytes = snprintf(line, sizeof line, "%ld %s %s%s\n", number, name,
                             path + root_bytes, hurt ? " HURT" : "");
        if (bytes > 0) syscall(SYS_write, trace, line, (size_t)bytes);
    }
    if (!hurt) return PASS;
    if (!strcmp(fault, "before")) return KILL_BEFORE;
    if (!strcmp(fault, "half")) return kind == WRITE ? KILL_HALF : KILL_AFTER;
    if (!strcmp(fault, "after")) return KILL_AFTER;
    if (!strcmp(fault, "eio")) return FAIL_EIO;
    if (!strcmp(fault, "enospc")) return kind == SYNC ? PASS : FAIL_ENOSPC;
    if (!strcmp(fault, "short")) return kind == WRITE ? SHORT : PASS;
    return PASS;
}

static enum verdict judge_fd(enum kind kind, const char *name, int fd) {
    char link[64], path[PATH_MAX];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (bytes < 0) return PASS;
    path[bytes] = 0;
    return judge(kind, name, path);
}

/* What the rest of a call is: `half` only means something for writes. */
#define HURT(verdict, type, half, whole)                                                           \
    do {                                                                                           \
        type result;                                                                               \
        switch (verdict) {                                                                         \
        case KILL_BEFORE: die(); return -1;                                                        \
        case KILL_HALF: (void)(half); die(); return -1;                                                    \
        case KILL_AFTER: (void)(whole); die(); return -1;                                                  \
        case FAIL_EIO: errno = EIO; return -1;                                                     \
        case FAIL_ENOSPC: errno = ENOSPC; return -1;                                               \
        case SHORT: result = half; return result;                                                  \
        case PASS: break;                                                                          \
        }                                                                                          \
        result = whole;                                                                            \
        return result;                                                                             \
    } while (0)

static size_t part(size_t bytes) { return bytes > 1 ? bytes / 2 : bytes; }

ssize_t write(int fd, const void *data, size_t bytes) {
    enum verdict verdict = judge_fd(WRITE, "write", fd);
    HURT(verdict, ssize_t, syscall(SYS_write, fd, data, part(bytes)),
         syscall(SYS_write, fd, data, bytes));
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
    enum verdict verdict = judge_fd(WRITE, "pwrite", fd);
    HURT(verdict, ssize_t, syscall(SYS_pwrite64, fd, data, part(bytes), offset),
         syscall(SYS_pwrite64, fd, data, bytes, offset));
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    return pwrite64(fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
    enum verdict verdict = judge_fd(WRITE, "writev", fd);
    HURT(verdict, ssize_t, syscall(SYS_write, fd, parts[0].iov_base, part(parts[0].iov_len)),
         syscall(SYS_writev, fd, parts, number));
}

int fsync(int fd) {
    enum verdict verdict = judge_fd(SYNC, "fsync", fd);
    HURT(verdict, int, 0, (int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
    enum verdict verdict = judge_fd(SYNC, "fdatasync", fd);
    HURT(verdict, int, 0, (int)syscall(SYS_fdatasync, fd));
}

int ftruncate64(int fd, off64_t length) {
    enum verdict verdict = judge_fd(NAME, "ftruncate", fd);
    HURT(verdict, int, 0, (int)syscall(SYS_ftruncate, fd, length));
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int rename(const char *from, const char *to) {
    enum verdict verdict = judge(NAME, "rename", to);
    HURT(verdict, int, 0, (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int unlink(const char *path) {
    enum verdict verdict = judge(NAME, "unlink", path);
    HURT(verdict, int, 0, (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int rmdir(const char *path) {
    enum verdict verdict = judge(NAME, "rmdir", path);
    HURT(verdict, int, 0, (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}

int unlinkat(int at, const char *path, int flags) {
    enum verdict verdict =
        at == AT_FDCWD ? judge(NAME, "unlinkat", path) : judge_fd(NAME, "unlinkat", at);
    HURT(verdict, int, 0, (int)syscall(SYS_unlinkat, at, path, flags));
}

int mkdir(const char *path, mode_t mode) {
    enum verdict verdict = judge(NAME, "mkdir", path);
    HURT(verdict, int, 0, (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

static int open_at(const char *path, int flags, mode_t mode) {
    enum verdict verdict = flags & (O_CREAT | O_TRUNC) ? judge(NAME, "create", path) : PASS;
    HURT(verdict, int, 0, (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_at(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_at(path, flags, mode);
}
