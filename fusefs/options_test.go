package fusefs

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseOptions(t *testing.T) {
	for _, c := range []struct {
		text string
		want Options
	}{
		{"", Options{}},
		{",,", Options{}},
		{"rw", Options{clear: unix.MS_RDONLY}},
		{"ro", Options{ReadOnly: true, set: unix.MS_RDONLY}},
		{"ro,rw", Options{clear: unix.MS_RDONLY}},
		{"rw,ro", Options{ReadOnly: true, set: unix.MS_RDONLY}},
		{"rw,dev,suid", Options{clear: unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID}},
		{"nosuid,nodev,noexec,noatime", Options{set: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME}},
		{"allow_other,default_permissions,volatile", Options{AllowOther: true, DefaultPermissions: true, Volatile: true}},
		{"squash", Options{Squash: true}},
		{`fsname=a\,b\\c,subtype=x`, Options{Source: `a,b\c`, Subtype: "x"}},
		{"fsname=k=v", Options{Source: "k=v"}},
		{"uidmap=0:1000:1,uidmap=1:100000:65536,gidmap=0:0:4294967295", Options{
			UIDs: IDMap{{0, 1000, 1}, {1, 100000, 65536}},
			GIDs: IDMap{{0, 0, 4294967295}},
		}},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := ParseOptions(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"bogus":                         `unknown option "bogus"; known are allow_other,`,
		"lowerdir=/a":                   "unknown option",
		"ro=1":                          "takes no value",
		"squash=yes":                    "takes no value",
		"fsname":                        "needs a value",
		"fsname=":                       "mount table",
		"fsname=a\nb":                   "mount table",
		"uidmap":                        "needs a value",
		"uidmap=1:2":                    "not RECORDED:SHOWN:LEN",
		"uidmap=a:2:3":                  "not a number",
		"uidmap=-1:2:3":                 "not a number",
		"gidmap=1:2:0":                  "length",
		"gidmap=4294967295:2:1":         "beyond",
		"gidmap=0:2:4294967295":         "beyond",
		"uidmap=0:0:10,uidmap=9:100:1":  "overlaps 0:0:10",
		"uidmap=0:0:10,uidmap=100:9:1":  "overlaps 0:0:10",
		"squash,uidmap=0:1000:1":        "squash",
		"gidmap=0:1000:1,squash,noexec": "squash",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := ParseOptions(text)
			if !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want ErrOption that says %q", err, says)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	const safe = unix.MS_NOSUID | unix.MS_NODEV
	for text, want := range map[string]uintptr{
		"":           safe,
		"ro":         safe | unix.MS_RDONLY,
		"dev":        unix.MS_NOSUID,
		"suid,dev":   0,
		"dev,nodev":  safe,
		"noexec,rw":  safe | unix.MS_NOEXEC,
		"exec,suid":  unix.MS_NODEV,
		"dirsync,ro": safe | unix.MS_DIRSYNC | unix.MS_RDONLY,
	} {
		o, err := ParseOptions(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.flags(); got != want {
			t.Errorf("%q: flags %#x, want %#x", text, got, want)
		}
	}
}

func TestKnownOptions(t *testing.T) {
	known := KnownOptions()
	if !slices.IsSorted(known) || len(slices.Compact(slices.Clone(known))) != len(known) {
		t.Errorf("not sorted, or with repetitions: %v", known)
	}
	for _, k := range known {
		if !strings.Contains(k, "=") {
			if _, err := ParseOptions(k); err != nil {
				t.Errorf("%q is listed and refused: %v", k, err)
			}
		}
	}
}
