package fusefs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestIDMap(t *testing.T) {
	o, err := ParseOptions("uidmap=0:1000:1,uidmap=1:100000:65535")
	if err != nil {
		t.Fatal(err)
	}
	for recorded, shown := range map[uint32]uint32{0: 1000, 1: 100000, 1000: 100999, 65535: 165534} {
		if got := o.UIDs.ToShown(recorded); got != shown {
			t.Errorf("recorded %d is shown as %d, want %d", recorded, got, shown)
		}
		if got, ok := o.UIDs.ToRecorded(shown); !ok || got != recorded {
			t.Errorf("shown %d is recorded as %d, %v, want %d", shown, got, ok, recorded)
		}
	}
	if got := o.UIDs.ToShown(65536); got != 65534 {
		t.Errorf("an id outside the map is shown as %d, want the overflow id", got)
	}
	for _, shown := range []uint32{0, 999, 1001, 165535} {
		if got, ok := o.UIDs.ToRecorded(shown); ok {
			t.Errorf("shown %d is outside the map, but recorded as %d", shown, got)
		}
	}
}

func TestOwners(t *testing.T) {
	maps := owners{uid: 1000, gid: 1000, uids: IDMap{{0, 1000, 1}}, gids: IDMap{{0, 100, 1}}}
	squash := owners{uid: 1000, gid: 100, squash: true}
	plain := owners{uid: 1000, gid: 100}

	type ids struct{ uid, gid uint32 }
	for name, c := range map[string]struct {
		o              owners
		recorded, show ids
	}{
		"plain":    {plain, ids{5, 6}, ids{5, 6}},
		"mapped":   {maps, ids{0, 0}, ids{1000, 100}},
		"unmapped": {maps, ids{1, 1}, ids{65534, 65534}},
		"squashed": {squash, ids{33, 44}, ids{1000, 100}},
	} {
		if u, g := c.o.show(c.recorded.uid, c.recorded.gid); (ids{u, g}) != c.show {
			t.Errorf("%s: %v is shown as %d:%d, want %v", name, c.recorded, u, g, c.show)
		}
	}

	if u, g, err := squash.creator(1000, 100); u != 1000 || g != 100 || err != nil {
		t.Errorf("squash records a creator as %d:%d, %v", u, g, err)
	}
	if u, g, err := maps.creator(1000, 100); u != 0 || g != 0 || err != nil {
		t.Errorf("the mapped creator is recorded as %d:%d, %v, want 0:0", u, g, err)
	}
	if _, _, err := maps.creator(1000, 101); !errors.Is(err, syscall.EOVERFLOW) {
		t.Errorf("creator outside the map: %v, want EOVERFLOW", err)
	}

	for name, c := range map[string]struct {
		o     owners
		id    uint32
		group bool
		want  uint32
		keep  bool
		err   error
	}{
		"plain":                {plain, 33, false, 33, true, nil},
		"mapped user":          {maps, 1000, false, 0, true, nil},
		"mapped group":         {maps, 100, true, 0, true, nil},
		"unmapped":             {maps, 100, false, 0, false, syscall.EOVERFLOW},
		"squashed to oneself":  {squash, 1000, false, 0, false, nil},
		"squashed to group":    {squash, 100, true, 0, false, nil},
		"squashed to others":   {squash, 0, false, 0, false, syscall.EPERM},
		"squashed other group": {squash, 1000, true, 0, false, syscall.EPERM},
	} {
		got, keep, err := c.o.chown(c.id, c.group)
		if got != c.want || keep != c.keep || !errors.Is(err, c.err) {
			t.Errorf("%s: chown gives %d, %v, %v, want %d, %v, %v", name, got, keep, err, c.want, c.keep, c.err)
		}
	}
}

// TestACL uses what `setfacl -m u:7:rw,g:8:r f; getfattr -e hex -n system.posix_acl_access f` prints.
func TestACL(t *testing.T) {
	acl := unhex(t, "0200 0000"+
		" 0100 0600 ffffffff"+ // user::rw-
		" 0200 0600 0700 0000"+ // user:7:rw-
		" 0400 0400 ffffffff"+ // group::r--
		" 0800 0400 0800 0000"+ // group:8:r--
		" 1000 0600 ffffffff"+ // mask::rw-
		" 2000 0400 ffffffff") // other::r--
	o := owners{uids: IDMap{{0, 1000, 10}}, gids: IDMap{{0, 2000, 10}}}
	want := bytes.Clone(acl)
	want[4+8+4], want[4+8+5] = 0xef, 0x03     // 1007
	want[4+3*8+4], want[4+3*8+5] = 0xd8, 0x07 // 2008
	if got := o.showACL(acl); !bytes.Equal(got, want) {
		t.Errorf("shown %x\nwant  %x", got, want)
	}
	if got, err := o.recordACL(want); err != nil || !bytes.Equal(got, acl) {
		t.Errorf("recorded %x, %v\nwant     %x", got, err, acl)
	}
	if _, err := o.recordACL(acl); !errors.Is(err, syscall.EOVERFLOW) {
		t.Errorf("an ACL with ids outside the map: %v, want EOVERFLOW", err)
	}
	for _, odd := range []string{"", "02", "0200 0000 01", "0300 0000 0200 0600 0700 0000"} {
		if got := o.showACL(unhex(t, odd)); !bytes.Equal(got, unhex(t, odd)) {
			t.Errorf("what is no ACL was changed: %s to %x", odd, got)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
