package fusefs

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/unionfs"
)

// Config says what to mount where.
type Config struct {
	Options
	Target string             // an existing directory; see CheckTarget
	FS     *unionfs.FS        // not closed by this package
	Log    logrus.FieldLogger // nil: the standard logger

	wrap func(fuse.RawFileSystem) fuse.RawFileSystem // lets a test stand between
}

const (
	// forever is how long the kernel may believe a reply; see doc.go.
	forever = 365 * 24 * time.Hour
	// maxRequest is the largest read or write, the kernel's own default limit.
	maxRequest = 1 << 20
	// maxBackground bounds the requests for readahead and write-back that are
	// in flight; the kernel's default of 12 leaves a second core idle.
	maxBackground = 64
)

// extraCaps are asked for, refusedCaps turned down, whatever go-fuse's
// defaults are; see doc.go for each.
const (
	extraCaps = fuse.CAP_NO_OPENDIR_SUPPORT | fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_SETXATTR_EXT |
		fuse.CAP_DONT_MASK | fuse.CAP_EXPORT_SUPPORT
	refusedCaps = fuse.CAP_PASSTHROUGH | fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_AUTO_INVAL_DATA | fuse.CAP_WRITEBACK_CACHE
)

// A Server serves one mount.
type Server struct {
	target string
	dev    uint64 // of the mount's files: tells this mount from a later one
	log    logrus.FieldLogger
	done   chan struct{}
}

// Mount mounts and begins to serve; it returns when the mount answers.
// Privileges are used as found: with CAP_SYS_ADMIN mount(2), else fusermount3.
func Mount(cfg Config) (*Server, error) {
	direct := canMount()
	o := cfg.Options
	// A mount by root is for everybody, as any other of his.
	o.AllowOther = o.AllowOther || direct
	o.DefaultPermissions = o.DefaultPermissions || o.AllowOther
	log := cfg.Log
	if log == nil {
		log = logrus.StandardLogger()
	}

	fd, err := attach(cfg.Target, o, direct)
	if err != nil {
		return nil, err
	}
	var r fuse.RawFileSystem = newRaw(cfg.FS, o, log)
	if cfg.wrap != nil {
		r = cfg.wrap(r)
	}
	srv, err := fuse.NewServer(r, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		MaxBackground:            maxBackground,
		MaxWrite:                 maxRequest,
		MaxReadAhead:             maxRequest,
		EnableSymlinkCaching:     true,
		ExplicitDataCacheControl: true,
		EnableAcl:                o.DefaultPermissions,
		DisableSplice:            true, // replies lie in memory: there is nothing to splice
		ExtraCapabilities:        extraCaps,
		DisabledCapabilities:     refusedCaps,
		PanicHandler: func(v any) fuse.Status {
			log.WithField("stack", string(debug.Stack())).Errorf("panic in a request: %v", v)
			return fuse.EIO
		},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mount on %s: %w", cfg.Target, err), unmount(cfg.Target, true))
	}

	s := &Server{target: cfg.Target, log: log, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		srv.Serve()
		s.detachAborted()
	}()
	if err := s.identify(); err != nil {
		return nil, errors.Join(fmt.Errorf("mount on %s does not answer: %w", cfg.Target, err), unmount(cfg.Target, true))
	}
	return s, nil
}

// identify waits for the mount's first answer.
func (s *Server) identify() error {
	if err := ping(s.target); err != nil {
		return os.NewSyscallError("statx", err)
	}
	m, found, err := Find(s.target)
	if err != nil {
		return err
	}
	if !found {
		return ErrNotMounted
	}
	s.dev = m.Device
	return nil
}

// Device is the st_dev of the mount's files, the same in every mount namespace.
func (s *Server) Device() uint64 { return s.dev }

// Wait returns when the mount is gone, whoever unmounted it, and no request is
// in flight. The union can be closed then.
func (s *Server) Wait() { <-s.done }

// Done is closed when Wait would return.
func (s *Server) Done() <-chan struct{} { return s.done }

// Unmount unmounts and waits until the last request has been answered. ErrBusy
// while programs use the mount; it goes on to work then.
func (s *Server) Unmount() error {
	select {
	case <-s.done:
		return nil
	default:
	}
	m, found, err := Find(s.target)
	switch {
	case err != nil:
		return err
	case !found || m.Device != s.dev:
		return fmt.Errorf("%w: %s is unmounted here, but not everywhere: another mount namespace has a copy", ErrBusy, s.target)
	}
	if err := unmount(s.target, false); err != nil {
		return err
	}
	s.Wait()
	return nil
}

// detachAborted removes the mount from the table if serving has ended for
// another reason than its unmounting: an administrator can abort a connection.
func (s *Server) detachAborted() {
	m, found, err := Find(s.target)
	if err != nil || !found || m.Device != s.dev {
		return
	}
	if errors.Is(ping(s.target), unix.ENOTCONN) {
		s.log.Warnf("the kernel aborted the connection of %s; detaching the mount", s.target)
		if err := unmount(s.target, true); err != nil {
			s.log.WithError(err).Error("the dead mount stays")
		}
	}
}
