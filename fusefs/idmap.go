package fusefs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
)

// An IDMap translates between the ids that are recorded in a layer and those
// that the mount shows. The empty map changes nothing.
type IDMap []IDRange

// An IDRange maps Len ids from Recorded on to as many from Shown on.
type IDRange struct{ Recorded, Shown, Len uint32 }

// overflowID is what Linux shows for an id that has no name in the viewer's
// namespace (/proc/sys/kernel/overflowuid).
const overflowID = 65534

// ToShown is the id shown for a recorded one; ids outside the map show as the
// overflow id.
func (m IDMap) ToShown(id uint32) uint32 {
	if len(m) == 0 {
		return id
	}
	for _, r := range m {
		if id >= r.Recorded && id-r.Recorded < r.Len {
			return r.Shown + (id - r.Recorded)
		}
	}
	return overflowID
}

// ToRecorded is the id to record for a shown one, false if there is none.
func (m IDMap) ToRecorded(id uint32) (uint32, bool) {
	if len(m) == 0 {
		return id, true
	}
	for _, r := range m {
		if id >= r.Shown && id-r.Shown < r.Len {
			return r.Recorded + (id - r.Shown), true
		}
	}
	return 0, false
}

// add parses RECORDED:SHOWN:LEN and appends it. Ranges may not overlap on
// either side: a translation there and back has to give the same id.
func (m *IDMap) add(text string) error {
	fields := strings.Split(text, ":")
	if len(fields) != 3 {
		return fmt.Errorf("%q is not RECORDED:SHOWN:LEN", text)
	}
	var n [3]uint32
	for i, f := range fields {
		v, err := strconv.ParseUint(f, 10, 32)
		if err != nil {
			return fmt.Errorf("%q: %q is not a number from 0 to %d", text, f, uint32(math.MaxUint32))
		}
		n[i] = uint32(v)
	}
	r := IDRange{Recorded: n[0], Shown: n[1], Len: n[2]}
	if r.Len == 0 {
		return fmt.Errorf("%q: the length must not be 0", text)
	}
	// The highest id, 2^32-1, means "no id" to chown(2) and setresuid(2).
	if r.Recorded > math.MaxUint32-r.Len || r.Shown > math.MaxUint32-r.Len {
		return fmt.Errorf("%q goes beyond the highest id", text)
	}
	for _, o := range *m {
		if overlap(r.Recorded, r.Len, o.Recorded, o.Len) || overlap(r.Shown, r.Len, o.Shown, o.Len) {
			return fmt.Errorf("%q overlaps %d:%d:%d", text, o.Recorded, o.Shown, o.Len)
		}
	}
	*m = append(*m, r)
	return nil
}

func overlap(a, alen, b, blen uint32) bool {
	return uint64(a) < uint64(b)+uint64(blen) && uint64(b) < uint64(a)+uint64(alen)
}

// owners is how one mount shows and records ids: as they are, through maps, or
// squashed to the mounter's.
type owners struct {
	squash   bool
	uid, gid uint32 // the mounter
	uids     IDMap
	gids     IDMap
}

// plain reports that nothing is translated.
func (o *owners) plain() bool { return !o.squash && len(o.uids) == 0 && len(o.gids) == 0 }

func (o *owners) show(uid, gid uint32) (uint32, uint32) {
	if o.squash {
		return o.uid, o.gid
	}
	return o.uids.ToShown(uid), o.gids.ToShown(gid)
}

// creator is the owner to record for what a caller creates. A squashed mount
// is a view: it hides owners, and records what a mount without it records.
func (o *owners) creator(uid, gid uint32) (uint32, uint32, error) {
	if o.squash {
		return uid, gid, nil
	}
	u, okU := o.uids.ToRecorded(uid)
	g, okG := o.gids.ToRecorded(gid)
	if !okU || !okG {
		return 0, 0, syscall.EOVERFLOW
	}
	return u, g, nil
}

// chown translates one id of a chown. With squash every file already belongs
// to the mounter, so giving it to him again changes nothing (keep is false)
// and giving it to anyone else cannot be shown: EPERM, which cp and tar expect
// from an ordinary user's chown.
func (o *owners) chown(id uint32, group bool) (recorded uint32, keep bool, err error) {
	own, ids := o.uid, o.uids
	if group {
		own, ids = o.gid, o.gids
	}
	if o.squash {
		if id != own {
			return 0, false, syscall.EPERM
		}
		return 0, false, nil
	}
	rec, ok := ids.ToRecorded(id)
	if !ok {
		return 0, false, syscall.EOVERFLOW
	}
	return rec, true, nil
}
