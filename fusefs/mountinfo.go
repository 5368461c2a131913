package fusefs

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// A MountPoint is what the kernel's mount table says of one FUSE mount.
type MountPoint struct {
	Target string // absolute, without symbolic links
	Source string // "layerfs", or what fsname= gave
	FSType string // "fuse.layerfs", or what subtype= gave
	UID    uint32 // who mounted it
	Device uint64 // st_dev of its files
}

// IsFUSE tells whether some FUSE program serves it.
func (m MountPoint) IsFUSE() bool { return m.FSType == "fuse" || strings.HasPrefix(m.FSType, "fuse.") }

// Find looks target up in the mount table of this process; of mounts on top of
// each other it returns the uppermost. It asks nobody but the kernel, so it
// also works where the mount's program is dead or hangs.
func Find(target string) (MountPoint, bool, error) {
	path, err := resolve(target)
	if err != nil {
		return MountPoint{}, false, err
	}
	infos, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	if err != nil {
		return MountPoint{}, false, fmt.Errorf("read the mount table: %w", err)
	}
	if len(infos) == 0 {
		return MountPoint{}, false, nil
	}
	in := infos[len(infos)-1] // the table is in the order of mounting
	m := MountPoint{Target: path, Source: in.Source, FSType: in.FSType, Device: mkdev(in.Major, in.Minor)}
	for _, o := range strings.Split(in.VFSOptions, ",") {
		if v, ok := strings.CutPrefix(o, "user_id="); ok {
			id, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return MountPoint{}, false, fmt.Errorf("mount table: %s: %q is no user id", path, v)
			}
			m.UID = uint32(id)
		}
	}
	return m, true, nil
}

// resolve gives target as the mount table spells it. A dead mount, and a mount
// of another user, cannot be looked at; but there the last component is no
// symbolic link, so its directory is enough.
func resolve(target string) (string, error) {
	abs, err := filepath.Abs(target)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(abs)
	if err == nil {
		return path, nil
	}
	dir, dirErr := filepath.EvalSymlinks(filepath.Dir(abs))
	if dirErr != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}
