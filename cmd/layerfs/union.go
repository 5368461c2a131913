package main

import (
	"errors"
	"fmt"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/unionfs"
)

// union opens what an RW layer shows, without a mount. Unless o says that nothing is written, the caller holds rw.Lock.
func union(s *store.Store, rw *store.RW, o unionfs.Options) (fs *unionfs.FS, closeAll func() error, err error) {
	index, err := s.MergedIndex(rw.Lower())
	if err != nil {
		return nil, nil, fmt.Errorf("rw layer %s: %w", rw.Name, err)
	}
	o.Lower, o.Open = index, s.OpenContent
	o.Upper, o.Work = rw.Upper(), rw.Work()
	fs, err = unionfs.New(o)
	if err != nil {
		index.Close()
		return nil, nil, fmt.Errorf("rw layer %s: %w", rw.Name, err)
	}
	return fs, func() error { return errors.Join(fs.Close(), index.Close()) }, nil
}

// look calls see with what the RW layer called name shows. Nothing is written, so it may be mounted meanwhile.
func look(s *store.Store, name string, see func(*store.RW, *unionfs.FS) error) error {
	rw, err := s.RW(name)
	if err != nil {
		return err
	}
	fs, closeAll, err := union(s, rw, unionfs.Options{ReadOnlyUpper: true})
	if err == nil {
		err = errors.Join(see(rw, fs), closeAll())
	}
	return reason(s, rw, err)
}

// lookAgain is look for what is whole before it prints anything: it tries again when the RW layer is mounted, and what
// was listed is gone when it is to be read.
func lookAgain(s *store.Store, name string, see func(*store.RW, *unionfs.FS) error) (err error) {
	for range 10 {
		if err = look(s, name, see); !errors.Is(err, unionfs.ErrChanging) {
			break
		}
	}
	return err
}

// reason gives a better one for the failure err where no lock kept rw there: that it was removed meanwhile, and
// perhaps made anew.
func reason(s *store.Store, rw *store.RW, err error) error {
	if err == nil {
		return nil
	}
	now, gone := s.RW(rw.Name)
	switch {
	case errors.Is(gone, store.ErrNotFound):
		return gone
	case gone == nil && !now.Created.Equal(rw.Created):
		return fmt.Errorf("rw layer %s: %w any more: it was removed just now, and there is a new one; try again", rw.Name, store.ErrNotFound)
	}
	return err
}
