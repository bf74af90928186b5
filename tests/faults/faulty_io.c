// A disk that fails, for LD_PRELOAD. Files whose path contains $FAULTY_PATH are concerned; $FAULTY_MODE says how:
//   read   reading beyond $FAULTY_AFTER bytes gives EIO
//   write  writing beyond $FAULTY_AFTER bytes gives EIO
//   sync   nothing can be forced to disk: EIO
//   short  no call reads or writes more than $FAULTY_AFTER bytes
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int concerned(int fd, const char* mode) {
    const char *path = getenv("FAULTY_PATH"), *wanted = getenv("FAULTY_MODE");
    if (!path || !wanted || strcmp(wanted, mode)) return 0;
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0) return 0;
    name[length] = 0;
    return strstr(name, path) != NULL;
}

static size_t after(void) {
    const char* bytes = getenv("FAULTY_AFTER");
    return bytes ? strtoull(bytes, NULL, 10) : 0;
}

// What may be read or written at this position; -1 where the disk fails.
static ssize_t allowed(int fd, const char* mode, off_t position, size_t count) {
    if (concerned(fd, "short")) return count < after() ? count : after();
    if (!concerned(fd, mode) || position < 0 || (size_t)position + count <= after()) return count;
    if ((size_t)position < after()) return after() - position;
    errno = EIO;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void* buffer, size_t count) {
    const ssize_t may = allowed(fd, "read", lseek(fd, 0, SEEK_CUR), count);
    return may < 0 ? -1 : REAL(read)(fd, buffer, may);
}

ssize_t pread64(int fd, void* buffer, size_t count, off64_t offset) {
    const ssize_t may = allowed(fd, "read", offset, count);
    return may < 0 ? -1 : REAL(pread64)(fd, buffer, may, offset);
}

ssize_t pread(int fd, void* buffer, size_t count, off_t offset) { return pread64(fd, buffer, count, offset); }

ssize_t write(int fd, const void* buffer, size_t count) {
    const ssize_t may = allowed(fd, "write", lseek(fd, 0, SEEK_CUR), count);
    return may < 0 ? -1 : REAL(write)(fd, buffer, may);
}

int fsync(int fd) {
    if (!concerned(fd, "sync")) return REAL(fsync)(fd);
    errno = EIO;
    return -1;
}
