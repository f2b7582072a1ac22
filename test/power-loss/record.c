// The recorder: preloaded into a server, it writes down every change below one directory, in an order that holds
// across processes, so that the states a power cut could leave can be cut out of the record afterwards.
//
// One counter, shared by all processes through a mapped file, numbers the start and the end of every call. Of two calls
// it is known that one came first only if its end has a lower number than the other's start; that is all that the image
// cutter relies on. A call is logged after it returned, as one append to one file. What the recorder cannot express
// (a shared writable mapping, copy_file_range, ...) is logged as 'X', and the reader of the log refuses it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Little-endian on disk, as every machine this runs on; read back by record-log.ts.
struct header {
  uint32_t magic;
  uint8_t type;
  uint8_t flags;
  uint16_t path_bytes;
  uint16_t target_bytes;
  uint16_t unused;
  uint32_t pid;
  uint64_t start, end;
  uint64_t inode, birth_ns;
  uint64_t offset, data_bytes;
};

enum { MAGIC = 0x4c525743, FLAG_SYNCED = 1, FD_MAX = 1 << 16 };
// What is known of a descriptor: not below the root, to be recorded, or SQLite's -shm, which every open rebuilds.
enum { FD_FOREIGN = 0, FD_RECORDED = 1, FD_RECORDED_SYNC = 2, FD_SHARED_INDEX = 3 };

static char root[PATH_MAX];
static size_t root_bytes;
static int log_fd = -1;
static uint64_t *counter; // [0] the next number, [1] not 0 when a record was lost
static unsigned char fds[FD_MAX];

#define REAL(type, name, ...)                                                                                          \
  static type (*real)(__VA_ARGS__);                                                                                    \
  if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static uint64_t tick(void) { return __atomic_fetch_add(&counter[0], 1, __ATOMIC_SEQ_CST); }

static ssize_t real_writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  return real(fd, parts, count);
}

__attribute__((constructor)) static void begin(void) {
  const char *root_name = getenv("CAUSEWAY_RECORD_ROOT");
  const char *log_name = getenv("CAUSEWAY_RECORD_LOG");
  const char *counter_name = getenv("CAUSEWAY_RECORD_COUNTER");
  if (!root_name || !log_name || !counter_name || !realpath(root_name, root)) return;
  int counter_fd = (int)syscall(SYS_openat, AT_FDCWD, counter_name, O_RDWR | O_CLOEXEC, 0);
  int low = (int)syscall(SYS_openat, AT_FDCWD, log_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, counter_fd, 0);
  log_fd = fcntl(low, F_DUPFD_CLOEXEC, 900);
  if (counter_fd < 0 || low < 0 || shared == MAP_FAILED || log_fd < 0) {
    fprintf(stderr, "recorder: cannot open %s or %s\n", log_name, counter_name);
    _exit(97);
  }
  syscall(SYS_close, counter_fd);
  syscall(SYS_close, low);
  counter = shared;
  root_bytes = strlen(root); // last: from here on, paths are recorded
}

static int below_root(const char *path) {
  if (!root_bytes || strncmp(path, root, root_bytes) != 0) return 0;
  return path[root_bytes] == '/' || path[root_bytes] == 0;
}

static int is_shared_index(const char *path) {
  size_t bytes = strlen(path);
  return bytes > 4 && strcmp(path + bytes - 4, "-shm") == 0;
}

static void note(uint8_t type, uint8_t flags, uint64_t start, uint64_t end, const struct statx *file, uint64_t offset,
                 const char *path, const char *target, const void *data, size_t data_bytes) {
  int saved = errno;
  size_t path_bytes = path ? strlen(path) : 0, target_bytes = target ? strlen(target) : 0;
  struct header header = {.magic = MAGIC,
                          .type = type,
                          .flags = flags,
                          .path_bytes = (uint16_t)path_bytes,
                          .target_bytes = (uint16_t)target_bytes,
                          .pid = (uint32_t)getpid(),
                          .start = start,
                          .end = end,
                          .inode = file ? file->stx_ino : 0,
                          .birth_ns = file ? (uint64_t)file->stx_btime.tv_sec * 1000000000u + file->stx_btime.tv_nsec : 0,
                          .offset = offset,
                          .data_bytes = data_bytes};
  struct iovec parts[4] = {{&header, sizeof header},
                           {(void *)path, path_bytes},
                           {(void *)target, target_bytes},
                           {(void *)data, data_bytes}};
  ssize_t all = (ssize_t)(sizeof header + path_bytes + target_bytes + data_bytes);
  if (real_writev(log_fd, parts, 4) != all) __atomic_store_n(&counter[1], 1, __ATOMIC_SEQ_CST);
  errno = saved;
}

static void unsupported(const char *what) {
  uint64_t now = tick();
  note('X', 0, now, now, NULL, 0, what, NULL, NULL, 0);
}

static int identify(int dir, const char *path, int flags, struct statx *out) {
  int saved = errno;
  int failed = statx(dir, path, flags, STATX_INO | STATX_BTIME | STATX_SIZE | STATX_TYPE, out);
  errno = saved;
  return failed == 0;
}

static int state_of(int fd) { return fd >= 0 && fd < FD_MAX ? fds[fd] : FD_FOREIGN; }
static int is_recorded(int fd) { return state_of(fd) == FD_RECORDED || state_of(fd) == FD_RECORDED_SYNC; }
static void copy_state(int from, int to) {
  if (to >= 0 && to < FD_MAX) fds[to] = (unsigned char)state_of(from);
}

// The absolute name of what `path` names, without following its last part.
static int absolute(int dir, const char *path, char *out) {
  char whole[PATH_MAX], parent[PATH_MAX], link[64];
  int saved = errno;
  if (!path || !*path) return 0;
  if (path[0] != '/' && dir != AT_FDCWD) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t bytes = readlink(link, whole, sizeof whole - 2);
    if (bytes < 0) return errno = saved, 0;
    snprintf(whole + bytes, sizeof whole - (size_t)bytes, "/%s", path);
  } else {
    snprintf(whole, sizeof whole, "%s", path);
  }
  for (size_t end = strlen(whole); end > 1 && whole[end - 1] == '/'; end--) whole[end - 1] = 0;
  char *slash = strrchr(whole, '/');
  const char *name = slash ? slash + 1 : whole;
  char base[NAME_MAX + 1];
  snprintf(base, sizeof base, "%s", name);
  if (!slash) snprintf(whole, sizeof whole, ".");
  else if (slash == whole) whole[1] = 0;
  else *slash = 0;
  int ok = realpath(whole, parent) != NULL;
  if (ok) ok = snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, base) < PATH_MAX;
  errno = saved;
  return ok;
}

// Names below the root that are recorded: all but SQLite's -shm.
static int names(int dir, const char *path, char *out) {
  return root_bytes && absolute(dir, path, out) && below_root(out) && !is_shared_index(out);
}

static void opened(int fd, int flags, uint64_t start) {
  if (fd < 0 || fd >= FD_MAX) return;
  fds[fd] = FD_FOREIGN;
  if (!root_bytes) return;
  int saved = errno;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t bytes = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (bytes < 0) return;
  path[bytes] = 0;
  if (!below_root(path)) return;
  fds[fd] = is_shared_index(path) ? FD_SHARED_INDEX : flags & O_DSYNC ? FD_RECORDED_SYNC : FD_RECORDED;
  struct statx file;
  if (fds[fd] == FD_SHARED_INDEX) {
    uint64_t now = tick();
    note('I', 0, start, now, NULL, 0, path, NULL, NULL, 0);
    return;
  }
  if (!identify(fd, "", AT_EMPTY_PATH, &file) || !S_ISREG(file.stx_mode)) return;
  uint64_t end = tick();
  if ((flags & O_TMPFILE) == O_TMPFILE) unsupported("O_TMPFILE");
  if (flags & O_CREAT) note('C', 0, start, end, &file, 0, path, NULL, NULL, 0);
  if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY) note('T', 0, start, end, &file, 0, NULL, NULL, NULL, 0);
}

static int open_mode(int flags, va_list rest) {
  return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, int) : 0;
}

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...) {                                                                         \
    REAL(int, name, const char *, int, ...);                                                                           \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    int mode = open_mode(flags, rest);                                                                                 \
    va_end(rest);                                                                                                      \
    uint64_t start = root_bytes ? tick() : 0;                                                                          \
    int fd = real(path, flags, mode);                                                                                  \
    opened(fd, flags, start);                                                                                          \
    return fd;                                                                                                         \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
  int name(int dir, const char *path, int flags, ...) {                                                                \
    REAL(int, name, int, const char *, int, ...);                                                                      \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    int mode = open_mode(flags, rest);                                                                                 \
    va_end(rest);                                                                                                      \
    uint64_t start = root_bytes ? tick() : 0;                                                                          \
    int fd = real(dir, path, flags, mode);                                                                             \
    opened(fd, flags, start);                                                                                          \
    return fd;                                                                                                         \
  }
OPENAT(openat)
OPENAT(openat64)

#define CREAT(name)                                                                                                    \
  int name(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
CREAT(creat)
CREAT(creat64)

int close(int fd) {
  REAL(int, close, int);
  if (fd >= 0 && fd < FD_MAX) fds[fd] = FD_FOREIGN;
  return real(fd);
}

int dup(int fd) {
  REAL(int, dup, int);
  int copy = real(fd);
  copy_state(fd, copy);
  return copy;
}
int dup2(int fd, int to) {
  REAL(int, dup2, int, int);
  int copy = real(fd, to);
  copy_state(fd, copy);
  return copy;
}
int dup3(int fd, int to, int flags) {
  REAL(int, dup3, int, int, int);
  int copy = real(fd, to, flags);
  copy_state(fd, copy);
  return copy;
}

#define FCNTL(name)                                                                                                    \
  int name(int fd, int command, ...) {                                                                                 \
    REAL(int, name, int, int, ...);                                                                                    \
    va_list rest;                                                                                                      \
    va_start(rest, command);                                                                                           \
    void *argument = va_arg(rest, void *);                                                                             \
    va_end(rest);                                                                                                      \
    int result = real(fd, command, argument);                                                                          \
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) copy_state(fd, result);                                      \
    return result;                                                                                                     \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

// `at` is -1 for a write at the descriptor's own position, which only the kernel knows (it may append).
static void wrote(int fd, off_t at, ssize_t bytes, uint64_t start, const void *data, int synced) {
  if (bytes <= 0) return;
  int saved = errno;
  uint64_t end = tick();
  struct statx file;
  if (!identify(fd, "", AT_EMPTY_PATH, &file) || !S_ISREG(file.stx_mode)) return;
  // pwrite to a descriptor that appends goes to the end, whatever its offset says.
  if (at >= 0 && fcntl(fd, F_GETFL) & O_APPEND) unsupported("pwrite with O_APPEND");
  off_t offset = at >= 0 ? at : lseek(fd, 0, SEEK_CUR) - bytes;
  int flags = synced || state_of(fd) == FD_RECORDED_SYNC ? FLAG_SYNCED : 0;
  note('W', (uint8_t)flags, start, end, &file, (uint64_t)offset, NULL, NULL, data, (size_t)bytes);
  errno = saved;
}

static void wrote_parts(int fd, off_t at, ssize_t bytes, uint64_t start, const struct iovec *parts, int count,
                        int synced) {
  if (bytes <= 0) return;
  char *whole = malloc((size_t)bytes);
  size_t done = 0;
  for (int index = 0; index < count && done < (size_t)bytes; index++) {
    size_t take = parts[index].iov_len;
    if (take > (size_t)bytes - done) take = (size_t)bytes - done;
    memcpy(whole + done, parts[index].iov_base, take);
    done += take;
  }
  wrote(fd, at, bytes, start, whole, synced);
  free(whole);
}

ssize_t write(int fd, const void *data, size_t bytes) {
  REAL(ssize_t, write, int, const void *, size_t);
  if (!is_recorded(fd)) return real(fd, data, bytes);
  uint64_t start = tick();
  ssize_t done = real(fd, data, bytes);
  wrote(fd, -1, done, start, data, 0);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (!is_recorded(fd)) return real_writev(fd, parts, count);
  uint64_t start = tick();
  ssize_t done = real_writev(fd, parts, count);
  wrote_parts(fd, -1, done, start, parts, count, 0);
  return done;
}

#define PWRITE(name)                                                                                                   \
  ssize_t name(int fd, const void *data, size_t bytes, off_t at) {                                                     \
    REAL(ssize_t, name, int, const void *, size_t, off_t);                                                             \
    if (!is_recorded(fd)) return real(fd, data, bytes, at);                                                            \
    uint64_t start = tick();                                                                                           \
    ssize_t done = real(fd, data, bytes, at);                                                                          \
    wrote(fd, at, done, start, data, 0);                                                                               \
    return done;                                                                                                       \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                                                  \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t at) {                                               \
    REAL(ssize_t, name, int, const struct iovec *, int, off_t);                                                        \
    if (!is_recorded(fd)) return real(fd, parts, count, at);                                                           \
    uint64_t start = tick();                                                                                           \
    ssize_t done = real(fd, parts, count, at);                                                                         \
    wrote_parts(fd, at, done, start, parts, count, 0);                                                                 \
    return done;                                                                                                       \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define PWRITEV2(name)                                                                                                 \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t at, int flags) {                                    \
    REAL(ssize_t, name, int, const struct iovec *, int, off_t, int);                                                   \
    if (!is_recorded(fd)) return real(fd, parts, count, at, flags);                                                    \
    if (flags & RWF_APPEND) unsupported("RWF_APPEND");                                                                 \
    uint64_t start = tick();                                                                                           \
    ssize_t done = real(fd, parts, count, at, flags);                                                                  \
    wrote_parts(fd, at, done, start, parts, count, (flags & (RWF_DSYNC | RWF_SYNC)) != 0);                             \
    return done;                                                                                                       \
  }
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

#define FTRUNCATE(name)                                                                                                \
  int name(int fd, off_t size) {                                                                                       \
    REAL(int, name, int, off_t);                                                                                       \
    if (!is_recorded(fd)) return real(fd, size);                                                                       \
    uint64_t start = tick();                                                                                           \
    int result = real(fd, size);                                                                                       \
    uint64_t end = tick();                                                                                             \
    struct statx file;                                                                                                 \
    if (result == 0 && identify(fd, "", AT_EMPTY_PATH, &file))                                                         \
      note('T', 0, start, end, &file, (uint64_t)size, NULL, NULL, NULL, 0);                                            \
    return result;                                                                                                     \
  }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

#define TRUNCATE(name)                                                                                                 \
  int name(const char *path, off_t size) {                                                                             \
    REAL(int, name, const char *, off_t);                                                                              \
    char whole[PATH_MAX];                                                                                              \
    if (!names(AT_FDCWD, path, whole)) return real(path, size);                                                        \
    uint64_t start = tick();                                                                                           \
    int result = real(path, size);                                                                                     \
    uint64_t end = tick();                                                                                             \
    struct statx file;                                                                                                 \
    if (result == 0 && identify(AT_FDCWD, path, 0, &file))                                                             \
      note('T', 0, start, end, &file, (uint64_t)size, NULL, NULL, NULL, 0);                                            \
    return result;                                                                                                     \
  }
TRUNCATE(truncate)
TRUNCATE(truncate64)

// sync_file_range is no promise of durability (it flushes neither the size nor the drive's cache): not recorded.
#define SYNC(name)                                                                                                     \
  int name(int fd) {                                                                                                   \
    REAL(int, name, int);                                                                                              \
    if (!is_recorded(fd)) return real(fd);                                                                             \
    uint64_t start = tick();                                                                                           \
    int result = real(fd);                                                                                             \
    uint64_t end = tick();                                                                                             \
    struct statx file;                                                                                                 \
    if (result == 0 && identify(fd, "", AT_EMPTY_PATH, &file))                                                         \
      note(S_ISDIR(file.stx_mode) ? 'D' : 'S', 0, start, end, &file, 0, NULL, NULL, NULL, 0);                          \
    return result;                                                                                                     \
  }
SYNC(fsync)
SYNC(fdatasync)

// A directory needs no creation record of its own identity but for its syncs: 'M' carries both.
static void made_directory(int dir, const char *path, const char *whole, uint64_t start) {
  uint64_t end = tick();
  struct statx file;
  if (identify(dir, path, 0, &file)) note('M', 0, start, end, &file, 0, whole, NULL, NULL, 0);
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, mkdir, const char *, mode_t);
  char whole[PATH_MAX];
  if (!names(AT_FDCWD, path, whole)) return real(path, mode);
  uint64_t start = tick();
  int result = real(path, mode);
  if (result == 0) made_directory(AT_FDCWD, path, whole, start);
  return result;
}
int mkdirat(int dir, const char *path, mode_t mode) {
  REAL(int, mkdirat, int, const char *, mode_t);
  char whole[PATH_MAX];
  if (!names(dir, path, whole)) return real(dir, path, mode);
  uint64_t start = tick();
  int result = real(dir, path, mode);
  if (result == 0) made_directory(dir, path, whole, start);
  return result;
}
char *mkdtemp(char *template) {
  REAL(char *, mkdtemp, char *);
  uint64_t start = root_bytes ? tick() : 0;
  char whole[PATH_MAX];
  char *made = real(template);
  if (made && names(AT_FDCWD, made, whole)) made_directory(AT_FDCWD, made, whole, start);
  return made;
}

static void removed(const char *whole, int result, uint64_t start, const struct statx *file) {
  if (result != 0) return;
  uint64_t end = tick();
  note('U', 0, start, end, file, 0, whole, NULL, NULL, 0);
}

#define REMOVE(name)                                                                                                   \
  int name(const char *path) {                                                                                         \
    REAL(int, name, const char *);                                                                                     \
    char whole[PATH_MAX];                                                                                              \
    struct statx file;                                                                                                 \
    if (!names(AT_FDCWD, path, whole)) return real(path);                                                              \
    int known = identify(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &file);                                                  \
    uint64_t start = tick();                                                                                           \
    int result = real(path);                                                                                           \
    removed(whole, result, start, known ? &file : NULL);                                                               \
    return result;                                                                                                     \
  }
REMOVE(unlink)
REMOVE(rmdir)
REMOVE(remove)

int unlinkat(int dir, const char *path, int flags) {
  REAL(int, unlinkat, int, const char *, int);
  char whole[PATH_MAX];
  struct statx file;
  if (!names(dir, path, whole)) return real(dir, path, flags);
  int known = identify(dir, path, AT_SYMLINK_NOFOLLOW, &file);
  uint64_t start = tick();
  int result = real(dir, path, flags);
  removed(whole, result, start, known ? &file : NULL);
  return result;
}

static void named(uint8_t type, int from_dir, const char *from, int to_dir, const char *to, uint64_t start) {
  char from_whole[PATH_MAX], to_whole[PATH_MAX];
  uint64_t end = tick();
  struct statx file;
  int from_known = names(from_dir, from, from_whole), to_known = names(to_dir, to, to_whole);
  if (!from_known && !to_known) return;
  if (!from_known || !to_known) unsupported("a rename or link across the root");
  else if (identify(to_dir, to, AT_SYMLINK_NOFOLLOW, &file)) note(type, 0, start, end, &file, 0, from_whole, to_whole, NULL, 0);
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  uint64_t start = root_bytes ? tick() : 0;
  int result = real(from, to);
  if (result == 0 && root_bytes) named('R', AT_FDCWD, from, AT_FDCWD, to, start);
  return result;
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  REAL(int, renameat, int, const char *, int, const char *);
  uint64_t start = root_bytes ? tick() : 0;
  int result = real(from_dir, from, to_dir, to);
  if (result == 0 && root_bytes) named('R', from_dir, from, to_dir, to, start);
  return result;
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  REAL(int, renameat2, int, const char *, int, const char *, unsigned);
  uint64_t start = root_bytes ? tick() : 0;
  int result = real(from_dir, from, to_dir, to, flags);
  if (result == 0 && root_bytes) named(flags & ~1u ? 'X' : 'R', from_dir, from, to_dir, to, start);
  return result;
}
int link(const char *from, const char *to) {
  REAL(int, link, const char *, const char *);
  uint64_t start = root_bytes ? tick() : 0;
  int result = real(from, to);
  if (result == 0 && root_bytes) named('L', AT_FDCWD, from, AT_FDCWD, to, start);
  return result;
}
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  REAL(int, linkat, int, const char *, int, const char *, int);
  uint64_t start = root_bytes ? tick() : 0;
  int result = real(from_dir, from, to_dir, to, flags);
  if (result == 0 && root_bytes) named('L', from_dir, from, to_dir, to, start);
  return result;
}

// From here on: what cannot be recorded, and says so.
#define MMAP(name)                                                                                                     \
  void *name(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {                                \
    REAL(void *, name, void *, size_t, int, int, int, off_t);                                                          \
    if (is_recorded(fd) && flags & MAP_SHARED && protection & PROT_WRITE) unsupported("mmap: shared and writable");    \
    return real(at, bytes, protection, flags, fd, offset);                                                             \
  }
MMAP(mmap)
MMAP(mmap64)

#define FALLOCATE(name)                                                                                                \
  int name(int fd, int mode, off_t offset, off_t bytes) {                                                              \
    REAL(int, name, int, int, off_t, off_t);                                                                           \
    if (is_recorded(fd)) unsupported(#name);                                                                           \
    return real(fd, mode, offset, bytes);                                                                              \
  }
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

#define POSIX_FALLOCATE(name)                                                                                          \
  int name(int fd, off_t offset, off_t bytes) {                                                                        \
    REAL(int, name, int, off_t, off_t);                                                                                \
    if (is_recorded(fd)) unsupported(#name);                                                                           \
    return real(fd, offset, bytes);                                                                                    \
  }
POSIX_FALLOCATE(posix_fallocate)
POSIX_FALLOCATE(posix_fallocate64)

#define SENDFILE(name)                                                                                                 \
  ssize_t name(int out, int in, off_t *offset, size_t bytes) {                                                         \
    REAL(ssize_t, name, int, int, off_t *, size_t);                                                                    \
    if (is_recorded(out)) unsupported(#name);                                                                          \
    return real(out, in, offset, bytes);                                                                               \
  }
SENDFILE(sendfile)
SENDFILE(sendfile64)

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t bytes, unsigned flags) {
  REAL(ssize_t, splice, int, off64_t *, int, off64_t *, size_t, unsigned);
  if (is_recorded(out)) unsupported("splice");
  return real(in, in_offset, out, out_offset, bytes, flags);
}

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t bytes, unsigned flags) {
  REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
  if (is_recorded(out)) unsupported("copy_file_range");
  return real(in, in_offset, out, out_offset, bytes, flags);
}

#define FOPEN(name)                                                                                                    \
  FILE *name(const char *path, const char *mode) {                                                                     \
    REAL(FILE *, name, const char *, const char *);                                                                    \
    char whole[PATH_MAX];                                                                                              \
    if (mode[0] != 'r' && names(AT_FDCWD, path, whole)) unsupported(#name);                                            \
    return real(path, mode);                                                                                           \
  }
FOPEN(fopen)
FOPEN(fopen64)

#define MKSTEMP(name)                                                                                                  \
  int name(char *template) {                                                                                           \
    REAL(int, name, char *);                                                                                           \
    char whole[PATH_MAX];                                                                                              \
    if (names(AT_FDCWD, template, whole)) unsupported(#name);                                                          \
    return real(template);                                                                                             \
  }
MKSTEMP(mkstemp)
MKSTEMP(mkstemp64)

int symlink(const char *target, const char *path) {
  REAL(int, symlink, const char *, const char *);
  char whole[PATH_MAX];
  if (names(AT_FDCWD, path, whole)) unsupported("symlink");
  return real(target, path);
}

// The C library's door to raw system calls. io_uring is refused, so that libuv takes the calls above instead.
long syscall(long number, ...) {
  REAL(long, syscall, long, ...);
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (int index = 0; index < 6; index++) a[index] = va_arg(rest, long);
  va_end(rest);
  if (root_bytes) {
    if (number == SYS_io_uring_setup) return errno = ENOSYS, -1;
    if (number == SYS_copy_file_range && is_recorded((int)a[2])) unsupported("copy_file_range");
    if (number == SYS_renameat2) unsupported("a raw renameat2");
    if (number == SYS_pwritev2 || number == SYS_pwrite64 || number == SYS_write || number == SYS_fallocate ||
        number == SYS_ftruncate)
      if (is_recorded((int)a[0])) unsupported("a raw write");
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
