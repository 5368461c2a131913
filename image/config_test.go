package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

func TestNewConfig(t *testing.T) {
	f := newFixture(t)
	diffID := digest.Digest(sha([]byte("new")))
	h := History{Created: time.Date(2025, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), CreatedBy: "layerfs commit", Author: "A <a@b>", Comment: "c"}
	out, err := NewConfig(f.config, diffID, h)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewConfig(f.config, diffID, h)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("not reproducible: %v", err)
	}
	var got, want object
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(f.config, &want); err != nil {
		t.Fatal(err)
	}
	want["created"] = "2025-01-02T02:04:05.000000006Z"
	want["author"] = "A <a@b>"
	want["history"] = []object{{"created": want["created"], "created_by": "layerfs commit", "author": "A <a@b>", "comment": "c"}}
	want["rootfs"].(object)["diff_ids"] = append(want["rootfs"].(object)["diff_ids"].([]any), diffID)
	if g, w := toJSON(t, got), toJSON(t, want); !bytes.Equal(g, w) {
		t.Errorf("config\n%s\nwant\n%s", g, w)
	}
}

func TestNewConfigFromNothing(t *testing.T) {
	diffID := sha([]byte("new"))
	out, err := NewConfig(nil, digest.Digest(diffID), History{})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"architecture":"` + runtime.GOARCH + `","created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z"}],` +
		`"os":"linux","rootfs":{"type":"layers","diff_ids":["` + diffID + `"]}}`
	if string(out) != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

func TestNewConfigBad(t *testing.T) {
	good := digest.Digest(sha(nil))
	for _, c := range []struct {
		parent string
		diffID digest.Digest
		want   error
	}{
		{"not JSON", good, ErrJSON},
		{"[]", good, ErrJSON},
		{"{}", good, ErrMediaType},
		{`{"rootfs":{"type":"layers","diff_ids":["x"]}}`, good, ErrDigest},
		{`{"rootfs":{"type":"layers"}}`, "sha256:x", ErrDigest},
		{`{"rootfs":{"type":"layers"}}`, "", ErrDigest},
	} {
		if _, err := NewConfig([]byte(c.parent), c.diffID, History{}); !errors.Is(err, c.want) {
			t.Errorf("%s + %s: %v, want %v", c.parent, c.diffID, err, c.want)
		}
	}
}
