package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/layerfs/layerfs/tarindex"
)

// clampTimes limits the times in a layer tar to SOURCE_DATE_EPOCH, for results that can be repeated
// (https://reproducible-builds.org/specs/source-date-epoch/). Without it times stay as they are.
func clampTimes() (tarindex.TarOptions, error) {
	value := os.Getenv("SOURCE_DATE_EPOCH")
	if value == "" {
		return tarindex.TarOptions{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return tarindex.TarOptions{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s is not a number of seconds", value)
	}
	return tarindex.TarOptions{Clamp: &tarindex.Time{Sec: seconds}}, nil
}
