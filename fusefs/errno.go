package fusefs

import (
	"context"
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// translated lists the error numbers that mean one thing inside the daemon and
// another one to the caller or to the kernel's FUSE client. All others pass
// through as they are.
var translated = map[syscall.Errno]syscall.Errno{
	// ENOSYS in a reply makes the kernel stop sending that kind of request for
	// the whole life of the mount. Only fusefs itself may say that.
	syscall.ENOSYS: syscall.EOPNOTSUPP,
	// A dead file system below the store is not this mount being dead.
	syscall.ENOTCONN: syscall.EIO,
	syscall.ENODEV:   syscall.EIO,
	// The daemon's own descriptors: the caller has done nothing wrong.
	syscall.EBADF:  syscall.EIO,
	syscall.EFAULT: syscall.EIO,
	syscall.EMFILE: syscall.ENFILE,
}

// maxErrno is the first number that the kernel refuses in a reply; it would
// drop the reply and leave the caller waiting.
const maxErrno = 512

// errnoOf is the one place where an error becomes an error number. Anything
// that carries none is an EIO: a damaged store, a programming error.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		if to, ok := translated[errno]; ok {
			return to
		}
		if errno == 0 || errno >= maxErrno {
			return syscall.EIO
		}
		return errno
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return syscall.EINTR
	default:
		return syscall.EIO
	}
}

// reply maps err to the status of a request. What ends as EIO is a defect of
// the store or of this program, and the caller sees none of the reason, so it
// is logged here.
func (r *raw) reply(op string, id uint64, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	errno := errnoOf(err)
	if errno == syscall.EIO {
		r.log.WithError(err).WithField("node", id).Errorf("%s failed", op)
	}
	return fuse.Status(errno)
}
