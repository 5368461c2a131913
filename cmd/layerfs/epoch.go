package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/layerfs/layerfs/tarindex"
)

// lastSecond is the end of the year 9999, the last that the JSON of an image's config can hold.
const lastSecond = 253402300799

// clampTimes limits the times in a layer tar to SOURCE_DATE_EPOCH, for results that can be repeated
// (https://reproducible-builds.org/specs/source-date-epoch/). Without it times stay as they are.
func clampTimes() (tarindex.TarOptions, error) {
	value := os.Getenv("SOURCE_DATE_EPOCH")
	if value == "" {
		return tarindex.TarOptions{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > lastSecond {
		return tarindex.TarOptions{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s is no number of seconds since 1970 (0 to %d)", value, lastSecond)
	}
	return tarindex.TarOptions{Clamp: &tarindex.Time{Sec: seconds}}, nil
}
