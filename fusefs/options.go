package fusefs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrOption is wrapped by every error of ParseOptions; it is a usage error.
var ErrOption = errors.New("bad mount option")

// Options are the mount options of one mount, as `-o` gives them.
type Options struct {
	ReadOnly           bool   // ro: the kernel refuses every change with EROFS
	AllowOther         bool   // allow_other: users other than the mounter may enter; implied for root and in a user namespace
	DefaultPermissions bool   // default_permissions: the kernel checks owners and modes; implied by AllowOther
	Squash             bool   // squash: everything is shown as the mounter's; excludes UIDs and GIDs
	UIDs, GIDs         IDMap  // uidmap=, gidmap=
	Volatile           bool   // volatile: fsync does nothing; a crash of the machine may lose the RW layer
	Source             string // fsname=: the source in mountinfo and df; "layerfs" when empty
	Subtype            string // subtype=: the type is shown as fuse.SUBTYPE; "layerfs" when empty

	set, clear uintptr // MS_* flags asked for and asked away
}

// kernelFlags are the options that mount(2) takes as bits. The value says
// whether the word sets or clears the bit; of several words the last one wins.
var kernelFlags = map[string]struct {
	bit uintptr
	on  bool
}{
	"ro": {unix.MS_RDONLY, true}, "rw": {unix.MS_RDONLY, false},
	"nosuid": {unix.MS_NOSUID, true}, "suid": {unix.MS_NOSUID, false},
	"nodev": {unix.MS_NODEV, true}, "dev": {unix.MS_NODEV, false},
	"noexec": {unix.MS_NOEXEC, true}, "exec": {unix.MS_NOEXEC, false},
	"noatime": {unix.MS_NOATIME, true}, "atime": {unix.MS_NOATIME, false},
	"nodiratime": {unix.MS_NODIRATIME, true}, "diratime": {unix.MS_NODIRATIME, false},
	"sync": {unix.MS_SYNCHRONOUS, true}, "async": {unix.MS_SYNCHRONOUS, false},
	"dirsync": {unix.MS_DIRSYNC, true},
}

// switches are our options that take no value, settings those that do.
var (
	switches = map[string]func(*Options){
		"allow_other":         func(o *Options) { o.AllowOther = true },
		"default_permissions": func(o *Options) { o.DefaultPermissions = true },
		"squash":              func(o *Options) { o.Squash = true },
		"volatile":            func(o *Options) { o.Volatile = true },
	}
	settings = map[string]func(*Options, string) error{
		"uidmap":  func(o *Options, v string) error { return o.UIDs.add(v) },
		"gidmap":  func(o *Options, v string) error { return o.GIDs.add(v) },
		"fsname":  func(o *Options, v string) error { return word(&o.Source, v) },
		"subtype": func(o *Options, v string) error { return word(&o.Subtype, v) },
	}
)

// ParseOptions reads a comma-separated list as mount(8) takes it; a backslash
// keeps the comma or backslash behind it. The empty string is fine.
func ParseOptions(text string) (Options, error) {
	var o Options
	for _, item := range splitOptions(text) {
		if err := o.apply(item); err != nil {
			return Options{}, err
		}
	}
	if o.Squash && (len(o.UIDs) > 0 || len(o.GIDs) > 0) {
		return Options{}, fmt.Errorf("%w: squash shows everything as yours, so uidmap and gidmap mean nothing beside it; drop one of them", ErrOption)
	}
	return o, nil
}

func (o *Options) apply(item string) error {
	name, value, hasValue := strings.Cut(item, "=")
	if f, ok := kernelFlags[name]; ok && !hasValue {
		if f.on {
			o.set, o.clear = o.set|f.bit, o.clear&^f.bit
		} else {
			o.set, o.clear = o.set&^f.bit, o.clear|f.bit
		}
		o.ReadOnly = o.set&unix.MS_RDONLY != 0
		return nil
	}
	if set, ok := switches[name]; ok && !hasValue {
		set(o)
		return nil
	}
	if set, ok := settings[name]; ok {
		if !hasValue {
			return fmt.Errorf("%w: %s needs a value: %s=VALUE", ErrOption, name, name)
		}
		if err := set(o, value); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrOption, name, err)
		}
		return nil
	}
	if hasValue && slices.Contains(KnownOptions(), name) {
		return fmt.Errorf("%w: %s takes no value, but %q was given", ErrOption, name, value)
	}
	return fmt.Errorf("%w: unknown option %q; known are %s", ErrOption, item, strings.Join(KnownOptions(), ", "))
}

// KnownOptions lists every option in the order of the alphabet, with the form
// of its value where it takes one.
func KnownOptions() []string {
	var names []string
	for n := range kernelFlags {
		names = append(names, n)
	}
	for n := range switches {
		names = append(names, n)
	}
	names = append(names, "fsname=NAME", "subtype=NAME", "uidmap=RECORDED:SHOWN:LEN", "gidmap=RECORDED:SHOWN:LEN")
	slices.Sort(names)
	return names
}

// flags are the MS_* bits for mount(2). nosuid and nodev are the default, as
// for every FUSE mount: a layer is foreign data.
func (o *Options) flags() uintptr {
	f := (unix.MS_NOSUID|unix.MS_NODEV)&^o.clear | o.set
	if o.ReadOnly {
		f |= unix.MS_RDONLY
	}
	return f
}

func (o *Options) source() string {
	if o.Source == "" {
		return "layerfs"
	}
	return o.Source
}

func (o *Options) fstype() string {
	if o.Subtype == "" {
		return "fuse.layerfs"
	}
	return "fuse." + o.Subtype
}

func word(dst *string, v string) error {
	if v == "" || strings.ContainsAny(v, "\x00\n") {
		return fmt.Errorf("%q cannot be shown in the mount table", v)
	}
	*dst = v
	return nil
}

func splitOptions(text string) []string {
	var items []string
	var item strings.Builder
	flush := func() {
		if item.Len() > 0 {
			items = append(items, item.String())
			item.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == ',' || text[i+1] == '\\'):
			i++
			item.WriteByte(text[i])
		case c == ',':
			flush()
		default:
			item.WriteByte(c)
		}
	}
	flush()
	return items
}
