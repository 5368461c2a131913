package tarindex

import (
	"fmt"
	"strings"
)

// Names that an OCI layer reserves (image-spec, layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // AUFS keeps its own files under such names
)

// splitName cuts the name of an entry into the names of its path, appended to
// parts. Empty names and "." mean nothing, so "/a", "./a" and "a//" are all the
// same. The problem is "" or says why the name can be nowhere in a tree;
// docs/semantics.md has the reasons.
func splitName(parts []string, name string) (_ []string, problem string) {
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			return parts, `has a component ".."`
		case strings.IndexByte(part, 0) >= 0: // the tar library lets GNU.sparse.name have it
			return parts, "has a NUL byte"
		case len(part) > nameMax && !longWhiteout(part):
			return parts, fmt.Sprintf("has a component of %d bytes, a directory holds at most %d", len(part), nameMax)
		default:
			parts = append(parts, part)
		}
	}
	return parts, ""
}

// longWhiteout reports whether name hides a name that is so long that no
// directory could hold the whiteout itself.
func longWhiteout(name string) bool {
	return strings.HasPrefix(name, whiteoutPrefix) && len(name) <= len(whiteoutPrefix)+nameMax
}

// validName reports whether name can be an entry of a directory.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= nameMax && !strings.ContainsAny(name, "/\x00")
}
