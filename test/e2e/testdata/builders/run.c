// What RUN does in the images of this folder: a few kilobytes that need no shell and no libc.
// "/run-it 1" and "/run-it 2" change the tree of base.tar; each becomes a layer. The script make compiles it.
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>

#define AT AT_FDCWD

static long call(long n, long a, long b, long c, long d, long e) {
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return n;
}

static void must(long result) {
	if (result < 0)
		call(SYS_exit, -result, 0, 0, 0, 0); // the errno is the exit code
}

static void make(const char *path, const char *text, long mode) {
	long n = 0, fd = call(SYS_openat, AT, (long)path, O_WRONLY | O_CREAT | O_TRUNC, mode, 0);
	must(fd);
	while (text[n])
		n++;
	must(call(SYS_write, fd, (long)text, n, 0, 0));
	must(call(SYS_fchmod, fd, mode, 0, 0, 0));
	must(call(SYS_close, fd, 0, 0, 0, 0));
}

static void dir(const char *path, long mode) { must(call(SYS_mkdirat, AT, (long)path, mode, 0, 0)); }
static void gone(const char *path) { must(call(SYS_unlinkat, AT, (long)path, 0, 0, 0)); }
static void gone_dir(const char *path) { must(call(SYS_unlinkat, AT, (long)path, AT_REMOVEDIR, 0, 0)); }
static void link(const char *old, const char *new) { must(call(SYS_linkat, AT, (long)old, AT, (long)new, 0)); }
static void symlink(const char *to, const char *at) { must(call(SYS_symlinkat, (long)to, AT, (long)at, 0, 0)); }
static void move(const char *old, const char *new) { must(call(SYS_renameat, AT, (long)old, AT, (long)new, 0)); }
static void mode(const char *path, long m) { must(call(SYS_fchmodat, AT, (long)path, m, 0, 0)); }
static void owner(const char *path, long uid, long gid) { must(call(SYS_fchownat, AT, (long)path, uid, gid, 0)); }
static void fifo(const char *path) { must(call(SYS_mknodat, AT, (long)path, S_IFIFO | 0640, 0, 0)); }

static void at(const char *path, long seconds, long nanoseconds) {
	long times[4] = {seconds, nanoseconds, seconds, nanoseconds};
	must(call(SYS_utimensat, AT, (long)path, (long)times, 0, 0));
}

static void first(void) {
	gone("/gone/file"); // whiteouts: of a file, of a directory with all in it, of one name of two
	gone("/gone-dir/below/file");
	gone_dir("/gone-dir/below");
	gone_dir("/gone-dir");
	gone("/links/b");
	gone("/remade/old"); // the same name again, with another content: opaque, or a whiteout
	gone_dir("/remade");
	dir("/remade", 0700);
	make("/remade/new", "new\n", 0644);
	gone("/was-file"); // a file becomes a directory, a directory a file
	dir("/was-file", 0755);
	make("/was-file/inside", "inside\n", 0600);
	gone("/was-dir/file");
	gone_dir("/was-dir");
	make("/was-dir", "a file now\n", 0644);
	link("/links/a", "/links/over-layers"); // to a file of the layer below
	make("/links/one", "two names\n", 0640);
	link("/links/one", "/links/two");
	owner("/links/one", 1000, 3000000000);
	link("/links/symlink", "/links/symlink-too");
	mode("/attributes/setuid", 02755); // attributes alone
	owner("/attributes/owner", 12, 34);
	fifo("/attributes/fifo-too");
	at("/attributes/owner", -86400, 0);
	at("/empty", 2000000000, 987654321);
	make("/alias/through", "written through a symlinked directory\n", 0644);
	symlink("../target", "/alias/up");
	move("/moved/from", "/moved/to");
	make("/for-layer-2", "removed again\n", 0644);
}

static void second(void) {
	gone("/for-layer-2");
	gone("/links/two");
	gone("/was-dir");
	dir("/was-dir", 0755); // a directory again: nothing of the first may come back
	make("/gone/file", "back\n", 0644);
	dir("/gone-dir", 0711);
}

__attribute__((naked)) void _start(void) {
	// The stack at the start holds argc, argv[0], argv[1].
	__asm__ volatile("mov %rsp, %rdi\n and $-16, %rsp\n call begin");
}

__attribute__((used)) void begin(long *stack) {
	char **argv = (char **)(stack + 1);
	if (stack[0] != 2)
		call(SYS_exit, 99, 0, 0, 0, 0);
	if (argv[1][0] == '1')
		first();
	else
		second();
	call(SYS_exit, 0, 0, 0, 0, 0);
}
