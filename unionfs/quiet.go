package unionfs

import "golang.org/x/sys/unix"

// The copy-up of a child changes the ctime of its directory on disk, and so
// does setting the mtime back. To the user nothing has happened to the directory,
// and the kernel, which may keep attributes for as long as it likes, is told
// nothing; tar would find that the ctime has changed while it read. So a
// directory goes on to show the ctime that it had, until something happens that
// the user asked for, or the next mount.
type quiet struct {
	disk  Time // the ctime on disk that is not to be shown
	shown Time // the one to show instead
}

// ctime returns what n shows for the ctime that it has on disk.
func (n *node) ctime(disk Time) Time {
	if n.dir != nil && n.quiet.disk == disk {
		return n.quiet.shown
	}
	return disk
}

// keepTimes calls change with the directory p, and sets its times back
// afterwards: it shows the same names as before.
func (f *FS) keepTimes(p *node, change func(at *descriptor) error) error {
	l, err := f.at(p)
	if err != nil {
		return err
	}
	defer l.release()
	before, err := l.stat()
	if err != nil {
		return err
	}
	if err := change(l.d); err != nil {
		return err
	}
	if err := l.utimes(before.Atim, before.Mtim); err != nil {
		return err
	}
	after, err := l.stat()
	p.quiet = quiet{disk: timeOf(after.Ctim), shown: p.ctime(timeOf(before.Ctim))}
	return err
}

// publishDir is the last step of the copy-up of a directory: it moves tmp from
// the work directory to name in p. It returns the directory's ctime afterwards.
func (f *FS) publishDir(tmp string, p *node, name string) (ctime Time, err error) {
	err = f.keepTimes(p, func(at *descriptor) error {
		if err := unix.Renameat2(f.work.fd, tmp, at.fd, name, unix.RENAME_NOREPLACE); err != nil {
			return err
		}
		st, err := location{d: at, name: name}.stat()
		ctime = timeOf(st.Ctim)
		return err
	})
	return ctime, err
}
