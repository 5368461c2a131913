package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// A client is a program that people use on file systems, and that is known to notice
// when one is not quite right. first runs in a fresh folder of a mount; second runs in the
// same folder once that is a lower layer, so that whatever it changes is copied up.
// Both run with `set -eu`.
type client struct {
	name          string
	tools         []string
	first, second string
}

var clients = []client{
	{"git", []string{"git"}, `
		git init -q -b main origin
		cd origin
		git config user.name e2e; git config user.email e2e@example.com; git config gc.auto 0
		for i in $(seq 60); do mkdir -p d$((i % 7)); echo "file $i" > d$((i % 7))/f$i; done
		git add .; git commit -q -m one
		git mv d1 moved; echo edited >> d2/f2; git rm -q d3/f3; git commit -q -a -m two
		git tag v2
		cd ..
		git clone -q origin clone
		git clone -q --no-hardlinks --bare origin bare.git
		cd clone
		git config user.name e2e; git config user.email e2e@example.com
		git checkout -q HEAD~1; test -d d1; git checkout -q main; test -d moved
		git checkout -q -b side; echo side > side; git add side; git commit -q -m side
		git push -q origin side
		git fsck --strict --no-progress
		quiet git status --porcelain`, `
		cd clone
		quiet git status --porcelain
		git fsck --strict --no-progress
		git checkout -q HEAD~2; git checkout -q side; quiet git status --porcelain
		echo again >> d2/f2; git commit -q -a -m again
		git gc -q --prune=now
		git repack -q -a -d; git fsck --strict --no-progress
		git stash list; git worktree add -q ../tree v2; quiet git -C ../tree status --porcelain
		git clone -q . ../clone2; diff -r --exclude=.git . ../clone2
		git -C ../bare.git fsck --strict --no-progress
		rm -rf ../origin; git fsck --no-progress`},
	{"sqlite", []string{"sqlite3"}, `
		for mode in wal delete truncate persist; do
			sqlite3 $mode.db "pragma journal_mode=$mode; create table t(i integer primary key, s text);" > /dev/null
			for n in 1 2 3; do
				sqlite3 $mode.db "begin; with recursive c(x) as (select 1 union all select x+1 from c where x < 3000)
					insert into t(s) select hex(randomblob(20)) from c; commit; delete from t where i % 3 = 0; update t set s = s || 'x' where i % 5 = 0;"
			done
			test "$(sqlite3 $mode.db 'pragma integrity_check')" = ok
		done
		# two writers at once: locks must be seen by both
		sqlite3 wal.db "create table n(v); insert into n values(0);"
		for p in 1 2; do
			(for i in $(seq 25); do echo 'pragma busy_timeout=20000; begin immediate; update n set v = v + 1; commit;'; done | sqlite3 wal.db > /dev/null) &
		done
		wait
		test "$(sqlite3 wal.db 'select v from n')" = 50`, `
		for mode in wal delete truncate persist; do
			test "$(sqlite3 $mode.db 'pragma integrity_check')" = ok
			before=$(sqlite3 $mode.db 'select count(*) from t')
			sqlite3 $mode.db "begin; delete from t; rollback;"
			test "$(sqlite3 $mode.db 'select count(*) from t')" = $before
			sqlite3 $mode.db "insert into t(s) values('new'); vacuum;"
			test "$(sqlite3 $mode.db 'pragma integrity_check; select count(*) from t')" = "ok
$((before + 1))"
		done
		test "$(sqlite3 wal.db 'select v from n')" = 50`},
	{"rsync", []string{"rsync"}, `
		mkdir src; mkdir -p src/a/b; echo 1 > src/a/1; ln src/a/1 src/a/b/1; ln -s ../1 src/a/b/s
		for i in $(seq 200); do echo $i > src/a/f$i; done
		touch -d @1234567890.123456789 src/a/f1 src/a
		setfattr -n user.x -v y src/a/f2 2>/dev/null || true
		chmod 4755 src/a/f3; chmod 2775 src/a/b; mkfifo src/fifo
		rsync -aHAX src/ dst/
		rsync -aHAX "$OUT/tree/" copy/
		quiet rsync -aHAXi --delete src/ dst/
		quiet rsync -aHAXi --checksum --delete src/ dst/
		quiet rsync -aHAXi --delete "$OUT/tree/" copy/`, `
		quiet rsync -aHAXi --delete src/ dst/
		echo more >> src/a/f9; rm src/a/f8; mv src/a/f7 src/a/f7b
		rsync -aHAX --delete --inplace src/ dst/
		quiet rsync -aHAXi --checksum --delete src/ dst/
		diff -r --no-dereference src/a dst/a
		test "$(stat -c %h dst/a/1)" = 2`},
	{"tar", []string{"tar"}, `
		cp -a "$OUT/tree" t
		tar --format=posix -cf one.tar t
		mkdir out; tar -xf one.tar -C out; diff -r --no-dereference t out/t
		tar -C out --format=posix -cf two.tar t; tar -df one.tar; tar -C out -df two.tar`, `
		tar -df one.tar
		tar -xf one.tar; tar -df one.tar
		tar -xf one.tar --overwrite; tar -df one.tar
		rm -rf t; tar -xf one.tar; tar -df one.tar`},
	{"cp", nil, `
		cp -a "$OUT/tree" a; cp -a a b; diff -r --no-dereference a b; diff -r --no-dereference "$OUT/tree" b
		cp -al a hard; test "$(stat -c %h a/f1)" = 2
		dd if=/dev/zero of=holes bs=1 count=1 seek=50M status=none
		cp --sparse=always holes holes2; cmp holes holes2
		test "$(stat -c %b holes2)" -lt 1000`, `
		cp -a a c; diff -r --no-dereference a c
		echo both >> a/f1; cmp a/f1 hard/f1
		cp --reflink=auto --sparse=auto holes holes3; cmp holes holes3
		echo x >> holes; test "$(stat -c %s holes)" = 52428803
		rm -rf b; mv hard b; diff -r --no-dereference a b`},
	{"python", nil, `
		mkdir pkg
		for i in $(seq 50); do echo "def f$i(): return $i" > pkg/m$i.py; done; : > pkg/__init__.py
		PYTHONDONTWRITEBYTECODE= python3 -m compileall -q pkg
		test $(ls pkg/__pycache__/*.pyc | wc -l) = 51
		PYTHONDONTWRITEBYTECODE= python3 -W error -c 'import pkg.m7; assert pkg.m7.f7() == 7; assert pkg.m7.__cached__'
		python3 -c '
import mmap, os
with open("map", "w+b") as f:
    f.truncate(1 << 20)
    m = mmap.mmap(f.fileno(), 1 << 20)
    m[5000:5005] = b"hello"
    assert os.pread(f.fileno(), 5, 5000) == b"hello"
    os.pwrite(f.fileno(), b"HELLO", 5000)
    assert m[5000:5005] == b"HELLO"
    m.flush(); m.close()
assert open("map", "rb").read()[5000:5005] == b"HELLO"
'`, `
		echo "def f7(): return 77" > pkg/m7.py
		PYTHONDONTWRITEBYTECODE= python3 -m compileall -q pkg
		python3 -c 'import pkg.m7; assert pkg.m7.f7() == 77'
		python3 -c '
# A descriptor and a mapping opened before the copy-up must see what comes after it.
import mmap, os
r = os.open("map", os.O_RDONLY)
m = mmap.mmap(r, 1 << 20, prot=mmap.PROT_READ)
assert m[5000:5005] == b"HELLO"
w = os.open("map", os.O_RDWR)
os.pwrite(w, b"upper", 5000)
assert os.pread(r, 5, 5000) == b"upper"
assert m[5000:5005] == b"upper"
assert os.fstat(r).st_ino == os.fstat(w).st_ino
'`},
	{"gcc", []string{"gcc", "make"}, `
		for i in 1 2 3 4; do printf 'int f%d(void) { return %d; }\n' $i $i > f$i.c; done
		printf '#include <stdio.h>\nint f1(void), f2(void), f3(void), f4(void);\nint main(void) { printf("%%d\\n", f1() + f2() + f3() + f4()); return 0; }\n' > main.c
		printf 'prog: main.o f1.o f2.o f3.o lib.a\n\t$(CC) -o $@ main.o f1.o f2.o f3.o lib.a\nlib.a: f4.o\n\t$(AR) rc $@ f4.o\n' > Makefile
		make -s -j2; test "$(./prog)" = 10
		test "$(make -q; echo $?)" = 0`, `
		test "$(make -q; echo $?)" = 0; test "$(./prog)" = 10
		sed -i 's/return 4/return 40/' f4.c; make -s; test "$(./prog)" = 46`},
	{"go", []string{"go"}, `
		printf 'module example.com/m\n\ngo 1.20\n' > go.mod
		mkdir sub; printf 'package sub\n\nfunc F() int { return 42 }\n' > sub/sub.go
		printf 'package main\n\nimport "example.com/m/sub"\n\nfunc main() { println(sub.F()) }\n' > main.go
		export GOCACHE="$PWD/cache" GOPATH="$PWD/gopath" GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-buildvcs=false CGO_ENABLED=0
		go build -o prog .; test "$(./prog 2>&1)" = 42`, `
		export GOCACHE="$PWD/cache" GOPATH="$PWD/gopath" GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-buildvcs=false CGO_ENABLED=0
		test "$(./prog 2>&1)" = 42
		sed -i 's/42/43/' sub/sub.go; go build -o prog .; test "$(./prog 2>&1)" = 43`},
	{"packages", nil, `python3 "$PY/packages.py" install 1`, `python3 "$PY/packages.py" upgrade 2`},
	{"shell", nil, `
		mkdir -p a/b/c; echo 1 > a/b/c/f; mv a z; test "$(cat z/b/c/f)" = 1
		(flock -n 9; fails flock -n lock true) 9> lock
		exec 8> gone; echo open >&8; rm gone; echo still >&8
		yes | head -c 100000 > y; split -b 10000 y part-; cat part-* | cmp - y
		install -m 0751 y exe; test $(stat -c %a exe) = 751
		printf '#!/bin/sh\necho ran\n' > run; chmod +x run; test "$(./run)" = ran
		find . -newer y -type f | sort > list; xargs -a list ls > /dev/null
		mkdir full; fails rmdir z; mv -T z full; test -f full/b/c/f`, `
		mv full/b/c moved; mv moved full/back; test "$(cat full/back/f)" = 1
		test "$(./run)" = ran; sed -i s/ran/again/ run; test "$(./run)" = again
		exec 8>> y 7< y; rm y; echo tail >&8; tail -n 1 <&7 | grep -q tail
		: > list; test ! -s list; rm part-*
		find . -depth -print0 | xargs -0 ls -d > /dev/null; rm -rf full; test ! -e full`},
}

// TestClients runs the programs in one mount, commits what they made, mounts the commit and
// lets them go on with it.
func TestClients(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(`mkdir -p out/tree/sub; cd out/tree; for i in $(seq 100); do head -c $((i * 97)) /dev/urandom > f$i; done
		ln -s f1 link; ln f2 sub/hard; mkdir empty; chmod 640 f3; touch -d @1111111111.111111111 f4; : > zero`)
	b.env = append(b.env, "OUT="+b.path("out"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	b.layerfs("import", filepath.Join(world.fixtures, "small.tar"))

	at := b.mount("one", "small:1")
	if strings.TrimSpace(b.sh(`"$1"/bin/echo run from the mount 2>/dev/null || echo no busybox`, at)) == "no busybox" {
		t.Log("the base has no busybox: nothing was executed out of a layer")
	}
	run := func(at string, script func(client) string) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				need(t, c.tools...)
				inner := *b
				inner.t = t
				inner.sh("mkdir -p \"$1\"; cd \"$1\"\n"+script(c), filepath.Join(at, c.name))
			})
		}
	}
	run(at, func(c client) string { return c.first })
	tree := b.walk(at)
	b.umount("one")
	at = b.mount("one", "small:1")
	sameTree(t, "mounted again", b.walk(at), tree)
	b.umount("one")

	at = b.mount("two", b.layerfs("commit", "one"))
	sameTree(t, "committed", b.walk(at), tree)
	run(at, func(c client) string { return c.second })
	tree = b.walk(at)
	b.umount("two")
	at = b.mount("three", b.layerfs("commit", "two"))
	sameTree(t, "committed again", b.walk(at), tree)
	b.umount("three")
	b.healthy()
}
