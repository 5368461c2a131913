package fusefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestErrno(t *testing.T) {
	_, missing := os.Open("/nonexistent/file")
	for _, c := range []struct {
		name string
		err  error
		want syscall.Errno
	}{
		{"success", nil, 0},
		{"plain number", syscall.ENOTEMPTY, syscall.ENOTEMPTY},
		{"wrapped number", fmt.Errorf("copy up: %w", syscall.ENOSPC), syscall.ENOSPC},
		{"path error", missing, syscall.ENOENT},
		{"quota", &fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}, syscall.EDQUOT},
		{"cancelled", fmt.Errorf("copy up: %w", context.Canceled), syscall.EINTR},
		{"interrupted", syscall.EINTR, syscall.EINTR},
		{"no number", errors.New("index is damaged"), syscall.EIO},
		{"short content", io.ErrUnexpectedEOF, syscall.EIO},
		{"never switches a request off", syscall.ENOSYS, syscall.EOPNOTSUPP},
		{"dead file system below", syscall.ENOTCONN, syscall.EIO},
		{"own descriptor", syscall.EBADF, syscall.EIO},
		{"own limit", syscall.EMFILE, syscall.ENFILE},
		{"kernel-internal number", syscall.Errno(512), syscall.EIO},
		{"zero in an error", fmt.Errorf("odd: %w", syscall.Errno(0)), syscall.EIO},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := errnoOf(c.err); got != c.want {
				t.Errorf("errnoOf(%v) = %v, want %v", c.err, got, c.want)
			}
		})
	}
}
