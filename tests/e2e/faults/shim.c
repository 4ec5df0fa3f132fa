/*
 * Faults for one process, by LD_PRELOAD: a wrong wall clock, a disk that stalls, and a journal that shows what a power loss
 * would leave. shim.py compiles it, sets its environment, and turns the journal into folders.
 *
 *   PAULINA_SHIM           the control file: three int64, see struct control
 *   PAULINA_SHIM_DATABASE  the absolute path of the database
 *   PAULINA_SHIM_DURABLE   a folder. Its file `journal` records every write, truncation, creation, removal and sync of
 *                          the files of the database, in order. Without it, nothing is recorded
 *
 * A call and its line in the journal are one step under one lock, so that the journal has the order of the calls. The line
 * of a sync contains the length of the journal when the sync began: only earlier lines are on disk when it completes, and
 * the line is written only then. The journal of a killed process can therefore miss data that is on disk, but never claim
 * data that is not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t wall_offset_ms; /* added to CLOCK_REALTIME */
    volatile int64_t stall_ms;       /* unless it is 0, each write or sync of the database or its WAL waits this long */
    int64_t wal_syncs;               /* completed syncs of the WAL */
};

enum { DATABASE = 1, WAL = 2, RECORDED = 4, FOLDER = 8 };
enum { CREATE = 1, OPEN, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, REMOVE, RENAME };

struct line {
    int64_t kind, inode, offset, length; /* `length` bytes follow */
};

struct open_file {
    int kind;
    int64_t inode;
};

#define FILES 65536
static struct open_file files[FILES];
static struct control none, *control = &none;
static const char *database;
static char folder[PATH_MAX];
static int journal = -1;
static int64_t lines;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...)                                                     \
    static result (*real_##name)(__VA_ARGS__);                                      \
    if (!real_##name) real_##name = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int real_open(const char *path, int flags, mode_t mode)
{
    REAL(int, open64, const char *, int, ...);
    return real_open64(path, flags, mode);
}

static void fail(const char *what)
{
    perror(what);
    abort();
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PAULINA_SHIM");
    database = getenv("PAULINA_SHIM_DATABASE");
    if (!path || !database) return;
    snprintf(folder, sizeof folder, "%s", database);
    *strrchr(folder, '/') = 0;
    int fd = real_open(path, O_RDWR, 0);
    control = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) fail("the control file");
    const char *durable = getenv("PAULINA_SHIM_DURABLE");
    if (!durable) return;
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/journal", durable);
    journal = real_open(name, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0600);
    if (journal < 0) fail("the journal");
}

static int ends(const char *text, const char *with)
{
    size_t length = strlen(text), end = strlen(with);
    return length >= end && !strcmp(text + length - end, with);
}

static int kind_of_path(const char *path)
{
    if (!database) return 0;
    if (journal >= 0 && !strcmp(path, folder)) return FOLDER;
    size_t length = strlen(database);
    if (strncmp(path, database, length) || ends(path, "-shm")) return 0;
    int kind = ends(path, "-wal") ? WAL : ends(path, ".db") ? DATABASE : 0;
    return kind | (journal >= 0 ? RECORDED : 0);
}

static struct open_file file_of(int fd)
{
    return fd >= 0 && fd < FILES ? files[fd] : (struct open_file){0, 0};
}

/* Call with the lock held. */
static void note(int kind, int64_t inode, int64_t offset, const void *data, size_t length)
{
    int error = errno;
    struct line line = {kind, inode, offset, (int64_t)length};
    struct iovec parts[] = {{&line, sizeof line}, {(void *)data, length}};
    if (writev(journal, parts, 2) != (ssize_t)(sizeof line + length)) fail("the journal");
    lines++;
    errno = error;
}

static const char *base(const char *path)
{
    return strrchr(path, '/') + 1;
}

static void stall(int kind)
{
    if (!(kind & (DATABASE | WAL))) return;
    for (int64_t waited = 0; waited < control->stall_ms; waited += 5) usleep(5000);
}

static int opened(const char *path, int flags, mode_t mode)
{
    int kind = kind_of_path(path);
    if (!kind) {
        int fd = real_open(path, flags, mode);
        if (fd >= 0 && fd < FILES) files[fd].kind = 0;
        return fd;
    }
    pthread_mutex_lock(&lock);
    int existed = !access(path, F_OK);
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < FILES) {
        struct stat status;
        fstat(fd, &status);
        files[fd] = (struct open_file){kind, (int64_t)status.st_ino};
        if (kind & RECORDED) {
            note(existed ? OPEN : CREATE, (int64_t)status.st_ino, 0, base(path), strlen(base(path)));
            if (flags & O_TRUNC) note(TRUNCATE, (int64_t)status.st_ino, 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags)                                   \
    mode_t mode = 0;                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {              \
        va_list rest;                                 \
        va_start(rest, flags);                        \
        mode = va_arg(rest, mode_t);                  \
        va_end(rest);                                 \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode); }

int close(int fd)
{
    REAL(int, close, int);
    if (fd >= 0 && fd < FILES) files[fd].kind = 0;
    return real_close(fd);
}

/* One write, at the current position of the file if `offset` is negative. */
static ssize_t written(int fd, const void *data, size_t size, off_t offset)
{
    REAL(ssize_t, write, int, const void *, size_t);
    REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
    struct open_file file = file_of(fd);
    stall(file.kind);
    int recorded = file.kind & RECORDED;
    if (recorded) pthread_mutex_lock(&lock);
    off_t at = offset < 0 && recorded ? lseek(fd, 0, SEEK_CUR) : offset;
    ssize_t done = offset < 0 ? real_write(fd, data, size) : real_pwrite64(fd, data, size, offset);
    if (recorded && done > 0) note(WRITE, file.inode, at, data, (size_t)done);
    if (recorded) pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return written(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return written(fd, data, size, offset); }

int ftruncate64(int fd, off_t size)
{
    REAL(int, ftruncate64, int, off_t);
    struct open_file file = file_of(fd);
    if (!(file.kind & RECORDED)) return real_ftruncate64(fd, size);
    pthread_mutex_lock(&lock);
    int result = real_ftruncate64(fd, size);
    if (!result) note(TRUNCATE, file.inode, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int synced(int fd, int (*sync)(int))
{
    struct open_file file = file_of(fd);
    stall(file.kind);
    pthread_mutex_lock(&lock);
    int64_t before = lines;
    pthread_mutex_unlock(&lock);
    int result = sync(fd);
    if (result) return result;
    if (file.kind & (RECORDED | FOLDER)) {
        pthread_mutex_lock(&lock);
        note(file.kind & FOLDER ? SYNC_FOLDER : SYNC, file.inode, before, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    if (file.kind & WAL) __atomic_add_fetch(&control->wal_syncs, 1, __ATOMIC_SEQ_CST);
    return result;
}

int fsync(int fd)
{
    REAL(int, fsync, int);
    return synced(fd, real_fsync);
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, int);
    return synced(fd, real_fdatasync);
}

int unlink(const char *path)
{
    REAL(int, unlink, const char *);
    if (!(kind_of_path(path) & RECORDED)) return real_unlink(path);
    pthread_mutex_lock(&lock);
    int result = real_unlink(path);
    if (!result) note(REMOVE, 0, 0, base(path), strlen(base(path)));
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    if (!((kind_of_path(from) | kind_of_path(to)) & RECORDED)) return real_rename(from, to);
    char names[2 * PATH_MAX];
    int length = snprintf(names, sizeof names, "%s/%s", base(from), base(to));
    pthread_mutex_lock(&lock);
    int result = real_rename(from, to);
    if (!result) note(RENAME, 0, 0, names, (size_t)length);
    pthread_mutex_unlock(&lock);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int result = real_clock_gettime(clock, time);
    int64_t offset = control->wall_offset_ms;
    if (!result && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t nanoseconds = time->tv_nsec + offset % 1000 * 1000000;
        time->tv_sec += offset / 1000 + (nanoseconds < 0 ? -1 : nanoseconds / 1000000000);
        time->tv_nsec = nanoseconds < 0 ? nanoseconds + 1000000000 : nanoseconds % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return result;
}

time_t time(time_t *into)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return into ? *into = now.tv_sec : now.tv_sec;
}
