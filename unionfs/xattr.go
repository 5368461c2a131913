package unionfs

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	xattrCapability = "security.capability"
	xattrAccessACL  = "system.posix_acl_access"
	xattrDefaultACL = "system.posix_acl_default"

	xattrNameMax = 255
)

// checkXattr refuses names of namespaces that there are not, and what a type of
// file cannot have (xattr(7): user attributes are for files and directories).
func checkXattr(m meta, name string) error {
	switch {
	case len(name) > xattrNameMax:
		return syscall.ERANGE
	case name == xattrAccessACL, name == xattrDefaultACL:
		if m.typ() == unix.S_IFLNK {
			return syscall.EOPNOTSUPP
		}
		return nil
	case strings.HasPrefix(name, "user.") && len(name) > len("user."):
		if !m.isReg() && !m.isDir() {
			return syscall.EPERM
		}
		return nil
	case strings.HasPrefix(name, "security.") && len(name) > len("security."),
		strings.HasPrefix(name, "trusted.") && len(name) > len("trusted."):
		return nil
	}
	return syscall.EOPNOTSUPP
}

// Getxattr returns the value of an extended attribute; ENODATA if id has none
// of that name.
func (f *FS) Getxattr(id uint64, name string) ([]byte, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, err := f.object(id)
	if err != nil {
		return nil, err
	}
	return f.xattr(o, name)
}

func (f *FS) xattr(o object, name string) ([]byte, error) {
	if o.n == nil || o.n.backing == 0 {
		i, _ := o.lowerPart()
		v, ok := f.lower.Xattr(i, name)
		if !ok {
			return nil, syscall.ENODATA
		}
		return v, nil
	}
	if !o.n.xattrs {
		return nil, syscall.ENODATA
	}
	l, err := f.at(o.n)
	if err != nil {
		return nil, err
	}
	defer l.release()
	return l.getxattr(storedName(name))
}

// Listxattr returns the names of the extended attributes of id.
func (f *FS) Listxattr(id uint64) ([]string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, err := f.object(id)
	if err != nil {
		return nil, err
	}
	return f.xattrNames(o)
}

func (f *FS) xattrNames(o object) ([]string, error) {
	var names []string
	if o.n == nil || o.n.backing == 0 {
		i, _ := o.lowerPart()
		for _, x := range f.lower.Xattrs(i) {
			names = append(names, x.Name)
		}
		return names, nil
	}
	if !o.n.xattrs {
		return nil, nil
	}
	l, err := f.at(o.n)
	if err != nil {
		return nil, err
	}
	defer l.release()
	stored, err := l.listxattr()
	for _, s := range stored {
		if name, ok := shownName(s); ok {
			names = append(names, name)
		}
	}
	return names, err
}

// Setxattr is setxattr(2) with its flags XATTR_CREATE and XATTR_REPLACE. An
// access ACL also sets the permission bits; killSGID then clears setgid.
// Namespaces user, security, trusted and the two POSIX ACL names of system are
// supported, others are EOPNOTSUPP.
func (f *FS) Setxattr(id uint64, name string, value []byte, flags uint32, killSGID bool) error {
	return f.changeXattrs(id, name, func(n *node, l location) error {
		if name == xattrDefaultACL && !n.isDir() {
			return syscall.EACCES
		}
		if name == xattrAccessACL || name == xattrDefaultACL {
			acl, err := parseACL(value)
			if err != nil {
				return err
			}
			if name == xattrAccessACL {
				return f.setAccessACL(n, l, acl, killSGID)
			}
			if len(acl) == 0 {
				return removeXattr(l, name, true)
			}
		}
		if err := l.setxattr(storedName(name), value, int(flags)); err != nil {
			return err
		}
		n.xattrs = true
		n.caps = n.caps || name == xattrCapability
		return nil
	})
}

// Removexattr removes an extended attribute; ENODATA if there is none.
func (f *FS) Removexattr(id uint64, name string) error {
	if _, err := f.Getxattr(id, name); err != nil {
		return err // with no copy-up
	}
	return f.changeXattrs(id, name, func(n *node, l location) error {
		switch name {
		case xattrAccessACL:
			n.acl = false
		case xattrCapability:
			n.caps = false
		}
		return removeXattr(l, name, false)
	})
}

func removeXattr(l location, name string, missingOK bool) error {
	err := l.removexattr(storedName(name))
	if missingOK && errors.Is(err, syscall.ENODATA) {
		return nil
	}
	return err
}

// changeXattrs copies id up, with the xattrs of the lower, and calls change.
func (f *FS) changeXattrs(id uint64, name string, change func(*node, location) error) error {
	if err := f.writable(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.object(id)
	if err != nil {
		return err
	}
	if err := checkXattr(f.meta(o), name); err != nil {
		return err
	}
	return f.changeUpper(o, change)
}
