/* Logs what a program does to the files of a store, so that a cut of the power can be simulated.
 *
 * Preload it (LD_PRELOAD). TORTURE_STORE: the path of the store; what begins with it is logged, but for the
 * lock and the shared memory, which are made anew. TORTURE_LOG: where to. TORTURE_FAULT: a file; as long as
 * it is there, writes to the store fail with ENOSPC if its name ends with "full", syncs with EIO otherwise.
 *
 * A record: kind, length of the path (4 bytes each), offset, length of the data (8 bytes each), in the byte
 * order of the machine, then path and data. Records of several processes come in the order of what they did,
 * since each is one write to a file that is opened to append. A record is written after what it tells of.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATED = 1, WRITTEN, TRUNCATED, SYNCED, REMOVED, RENAMED, SAID };

struct record {
    uint32_t kind, path_length;
    uint64_t offset, data_length;
};

#define FDS 1024
static char *paths[FDS];
static const char *store, *folder, *fault;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) \
    static type (*real_##name)(__VA_ARGS__); \
    if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("TORTURE_LOG");
    store = getenv("TORTURE_STORE");
    fault = getenv("TORTURE_FAULT");
    if (!store) return;
    char *copy = strdup(store), *slash = strrchr(copy, '/');
    if (slash) *slash = 0;
    folder = copy;
    REAL(int, open64, const char *, int, ...);
    if (log) log_fd = real_open64(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void tell(uint32_t kind, const char *path, uint64_t offset, const void *data, uint64_t length) {
    if (log_fd < 0) return;
    struct record record = {kind, strlen(path), offset, length};
    struct iovec parts[3] = {{&record, sizeof record}, {(void *)path, record.path_length}, {(void *)data, length}};
    int saved = errno;
    pthread_mutex_lock(&lock);
    if (writev(log_fd, parts, 3) < 0) abort();
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), size = strlen(end);
    return length >= size && !strcmp(text + length - size, end);
}

static int is_ours(const char *path) {
    return store && path && !strncmp(path, store, strlen(store)) && !ends_with(path, ".lock") && !ends_with(path, "-shm");
}

static const char *path_of(int fd) { return fd >= 0 && fd < FDS ? paths[fd] : 0; }

static int fails(int writing) {
    struct stat found;
    if (!fault || stat(fault, &found) || writing != ends_with(fault, "full")) return 0;
    errno = writing ? ENOSPC : EIO;
    return 1;
}

static int opened(int fd, const char *path, int existed) {
    if (fd < 0 || fd >= FDS || !store || !path) return fd;
    if (!is_ours(path) && strcmp(path, folder)) return fd;
    free(paths[fd]);
    paths[fd] = strdup(path);
    if (is_ours(path) && !existed) tell(CREATED, path, 0, 0, 0);
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int existed = is_ours(path) && !access(path, F_OK); \
        return opened(real_##name(path, flags, mode), path, existed); \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(int, close, int);
    if (path_of(fd)) {
        free(paths[fd]);
        paths[fd] = 0;
    }
    return real_close(fd);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) { \
        REAL(ssize_t, name, int, const void *, size_t, offset_type); \
        const char *path = path_of(fd); \
        if (path && fails(1)) return -1; \
        ssize_t done = real_##name(fd, data, length, offset); \
        if (path && done > 0) tell(WRITTEN, path, offset, data, done); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    const char *path = path_of(fd);
    if (path && fails(1)) return -1;
    off_t offset = path ? lseek(fd, 0, SEEK_CUR) : 0;
    if (fd == 1 && store) tell(SAID, "", 0, data, length);
    ssize_t done = real_write(fd, data, length);
    if (path && done > 0) tell(WRITTEN, path, offset, data, done);
    return done;
}

#define TRUNCATE(name, offset_type) \
    int name(int fd, offset_type size) { \
        REAL(int, name, int, offset_type); \
        int result = real_##name(fd, size); \
        if (!result && path_of(fd)) tell(TRUNCATED, path_of(fd), size, 0, 0); \
        return result; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name) \
    int name(int fd) { \
        REAL(int, name, int); \
        const char *path = path_of(fd); \
        if (path && fails(0)) return -1; \
        int result = real_##name(fd); \
        if (!result && path) tell(SYNCED, path, 0, 0, 0); \
        return result; \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    int result = real_unlink(path);
    if (!result && is_ours(path)) tell(REMOVED, path, 0, 0, 0);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    int result = real_rename(from, to);
    if (!result && is_ours(from)) tell(RENAMED, from, 0, to, strlen(to));
    return result;
}
